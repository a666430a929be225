import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { logFiles } from "../../log-files.ts";
import { hostCode } from "../host/errno.ts";
import { LOG_PAUSE_MS, LogRate } from "./log-rate.ts";

/** A line longer than this is written in parts, tagged P; its last part is tagged F. */
export const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;
/** No descriptor: where a new file could not be opened, the old number is soon another's. */
const CLOSED = -1;

export type LogStream = "stdout" | "stderr";

/** Beside a log: how many bytes were dropped, as a number. Not there while that is none. */
export const DROPPED_SUFFIX = ".dropped";

export interface CriLogOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** Gives the time of a line. */
  readonly timestamp: () => string;
  /** What a guest says beyond it is dropped; without it nothing is. */
  readonly bytesPerSecond?: number;
}

/**
 * A container's log in the CRI format: `<RFC 3339 nano> <stream> <F|P> <text>`. Written at once, so
 * that what a guest said before it died is there. When the file would pass its bound it becomes
 * `<path>.1`, that one `<path>.2` and so on up to the last that is kept, and a new one begins:
 * readers that follow see another inode. What a guest says faster than its rate is dropped by whole
 * lines, and one line says how much it was.
 */
export class CriLog {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #timestamp: () => string;
  readonly #rest = new Map<LogStream, Uint8Array>();
  readonly #rate: LogRate | undefined;
  /** Streams whose line was begun in the file and still lacks its end. */
  readonly #begun = new Set<LogStream>();
  #notice: ReturnType<typeof setTimeout> | undefined;
  #fd = CLOSED;
  #size = 0;

  /** Throws when the file cannot be opened. */
  constructor(options: CriLogOptions) {
    this.#path = options.path;
    this.#maxBytes = options.maxBytes;
    this.#timestamp = options.timestamp;
    this.#open();
    const { bytesPerSecond } = options;
    this.#rate = bytesPerSecond === undefined ? undefined : new LogRate(bytesPerSecond, now());
  }

  /** Adds what a stream said; a line without its end waits for the rest. */
  write(stream: LogStream, bytes: Uint8Array): void {
    this.#tellDropped();
    this.#write(stream, bytes, this.#rate);
  }

  #write(stream: LogStream, bytes: Uint8Array, rate: LogRate | undefined): void {
    const rest = this.#rest.get(stream);
    const data = rest === undefined ? bytes : Buffer.concat([rest, bytes]);
    const prefix = `${this.#timestamp()} ${stream} `;
    const parts: Uint8Array[] = [];
    let from = 0;
    while (from < data.length) {
      const newline = data.indexOf(NEWLINE, from);
      const end = newline < 0 ? data.length : newline;
      if (end - from > MAX_LINE_BYTES) {
        const part = line(`${prefix}P `, data.subarray(from, from + MAX_LINE_BYTES));
        if (this.#admits(part, rate)) {
          this.#begun.add(stream);
          parts.push(part);
        }
        from += MAX_LINE_BYTES;
      } else if (newline >= 0) {
        const last = line(`${prefix}F `, data.subarray(from, newline));
        // Without its last part the line would go on with the next one.
        if (this.#admits(last, rate) || this.#begun.has(stream)) parts.push(last);
        this.#begun.delete(stream);
        from = newline + 1;
      } else break;
    }
    if (from < data.length) this.#rest.set(stream, Uint8Array.from(data.subarray(from)));
    else this.#rest.delete(stream);
    for (const part of batches(parts, this.#maxBytes)) this.#append(part);
  }

  /**
   * A line of the runtime's own, such as a trap's backtrace. Where it cannot be written, on a full
   * disk for example, it is lost: whoever says it has a guest to end or a request to answer.
   */
  note(text: string): void {
    const bytes = Buffer.from(text.endsWith("\n") ? text : `${text}\n`);
    this.#orLose(() => {
      this.flush();
      this.#write("stderr", bytes, undefined);
    });
  }

  /** As {@link write}, for lines that the guest did not write: lost as a {@link note} is. */
  writeOrLose(stream: LogStream, bytes: Uint8Array): void {
    this.#orLose(() => this.write(stream, bytes));
  }

  /** Writes lines that lack their end. */
  flush(): void {
    for (const [stream, rest] of this.#rest) {
      this.#append(line(`${this.#timestamp()} ${stream} F `, rest));
    }
    this.#rest.clear();
  }

  close(): void {
    this.#orLose(() => this.flush());
    clearTimeout(this.#notice);
    this.#orLose(() => this.#tellDropped(Number.POSITIVE_INFINITY));
    if (this.#fd !== CLOSED) closeSync(this.#fd);
  }

  #orLose(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (hostCode(error) === undefined) throw error;
    }
  }

  #admits(part: Uint8Array, rate: LogRate | undefined): boolean {
    if (rate === undefined || rate.admits(part.length, now())) return true;
    // A guest that falls silent then is told of all the same.
    this.#notice ??= setTimeout(() => this.#orLose(() => this.#tellDropped()), LOG_PAUSE_MS + 1);
    this.#notice.unref();
    return false;
  }

  #tellDropped(nowMs = now()): void {
    const rate = this.#rate;
    const dropped = this.#notice === undefined ? 0 : (rate?.takeNotice(nowMs) ?? 0);
    if (rate === undefined || dropped === 0) return;
    clearTimeout(this.#notice);
    this.#notice = undefined;
    const most = `${rate.bytesPerSecond} bytes a second (annotation kubun.dev/log-rate)`;
    const text = `kubun: ${dropped} bytes of output were dropped: a container may log ${most}`;
    this.#append(line(`${this.#timestamp()} stderr F `, Buffer.from(text)));
    writeFileSync(`${this.#path}${DROPPED_SUFFIX}`, `${rate.droppedInAll}\n`, { mode: 0o640 });
  }

  #append(bytes: Uint8Array): void {
    if (this.#fd === CLOSED) this.#open();
    if (this.#size > 0 && this.#size + bytes.length > this.#maxBytes) this.#rotate();
    for (let from = 0; from < bytes.length;) {
      const written = writeSync(this.#fd, bytes, from, bytes.length - from);
      from += written;
      this.#size += written;
    }
  }

  #rotate(): void {
    // The oldest is written over; each of the others is one older from now on.
    const files = logFiles(this.#path);
    for (const [index, file] of files.entries()) {
      const older = files[index - 1];
      if (older !== undefined && (file === this.#path || existsSync(file))) renameSync(file, older);
    }
    // A guest may have taken all other descriptors: the new file gets that of the former.
    closeSync(this.#fd);
    this.#fd = CLOSED;
    this.#open();
  }

  #open(): void {
    this.#fd = openSync(this.#path, "a", 0o640);
    this.#size = fstatSync(this.#fd).size;
  }
}

/** Monotonic: a wall clock that is set must not give or take anything. */
function now(): number {
  return performance.now();
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
