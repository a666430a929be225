import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

/** A line longer than this is written in parts, tagged P; its last part is tagged F. */
export const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

export type LogStream = "stdout" | "stderr";

/**
 * A container's log in the CRI format: `<RFC 3339 nano> <stream> <F|P> <text>`. Written at once, so
 * that what a guest said before it died is there. When the file would pass its bound it becomes
 * `<path>.1` and a new one begins: readers that follow see another inode.
 */
export class CriLog {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #timestamp: () => string;
  readonly #rest = new Map<LogStream, Uint8Array>();
  #fd: number;
  #size: number;

  /** `timestamp` gives the time of a line. Throws when the file cannot be opened. */
  constructor(options: {
    readonly path: string;
    readonly maxBytes: number;
    readonly timestamp: () => string;
  }) {
    this.#path = options.path;
    this.#maxBytes = options.maxBytes;
    this.#timestamp = options.timestamp;
    this.#fd = openSync(options.path, "a", 0o640);
    this.#size = fstatSync(this.#fd).size;
  }

  /** Adds what a stream said; a line without its end waits for the rest. */
  write(stream: LogStream, bytes: Uint8Array): void {
    const rest = this.#rest.get(stream);
    const data = rest === undefined ? bytes : Buffer.concat([rest, bytes]);
    const prefix = `${this.#timestamp()} ${stream} `;
    const parts: Uint8Array[] = [];
    let from = 0;
    while (from < data.length) {
      const newline = data.indexOf(NEWLINE, from);
      const end = newline < 0 ? data.length : newline;
      if (end - from > MAX_LINE_BYTES) {
        parts.push(line(`${prefix}P `, data.subarray(from, from + MAX_LINE_BYTES)));
        from += MAX_LINE_BYTES;
      } else if (newline >= 0) {
        parts.push(line(`${prefix}F `, data.subarray(from, newline)));
        from = newline + 1;
      } else break;
    }
    if (from < data.length) this.#rest.set(stream, Uint8Array.from(data.subarray(from)));
    else this.#rest.delete(stream);
    for (const part of batches(parts, this.#maxBytes)) this.#append(part);
  }

  /** A line of the runtime's own, such as a trap's backtrace. */
  note(text: string): void {
    this.flush();
    this.write("stderr", Buffer.from(text.endsWith("\n") ? text : `${text}\n`));
  }

  /** Writes lines that lack their end. */
  flush(): void {
    for (const [stream, rest] of this.#rest) {
      this.#append(line(`${this.#timestamp()} ${stream} F `, rest));
    }
    this.#rest.clear();
  }

  close(): void {
    this.flush();
    closeSync(this.#fd);
  }

  #append(bytes: Uint8Array): void {
    if (this.#size > 0 && this.#size + bytes.length > this.#maxBytes) this.#rotate();
    for (let from = 0; from < bytes.length;) {
      const written = writeSync(this.#fd, bytes, from, bytes.length - from);
      from += written;
      this.#size += written;
    }
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, "a", 0o640);
    this.#size = 0;
  }
}

function line(prefix: string, text: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(prefix.length + text.length + 1);
  bytes.write(prefix, "latin1");
  bytes.set(text, prefix.length);
  bytes[bytes.length - 1] = NEWLINE;
  return bytes;
}

/** Joins lines into as few writes as the bound of the file allows. */
function* batches(lines: readonly Uint8Array[], maxBytes: number): Generator<Uint8Array> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for (const bytes of lines) {
    if (size > 0 && size + bytes.length > maxBytes) {
      yield Buffer.concat(batch);
      batch = [];
      size = 0;
    }
    batch.push(bytes);
    size += bytes.length;
  }
  if (batch.length > 0) yield batch.length === 1 && batch[0] ? batch[0] : Buffer.concat(batch);
}
