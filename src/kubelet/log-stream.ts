import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { parseCriLogLine } from "./cri-log-line.ts";
import { tailOffset } from "./log-tail.ts";

export interface LogOptions {
  readonly tailLines?: number;
  /** Only lines from then on, milliseconds since the epoch. */
  readonly sinceMs?: number;
  readonly timestamps?: boolean;
  readonly limitBytes?: number;
}

export interface FollowOptions {
  /** Resolves when the container ended: what is in the file then is all there will be. */
  readonly ended: Promise<void>;
}

const CHUNK_BYTES = 64 * 1024;
/** Bytes of one line; a longer one is cut there. */
export const MAX_LOG_LINE_BYTES = 1024 * 1024;

/**
 * The lines of a CRI log file as the program wrote them. With `follow` it goes on until the
 * container ended or the signal aborts; it waits for the file system's word, and does not poll.
 */
export async function* streamLog(
  path: string,
  options: LogOptions & { readonly follow?: FollowOptions; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const limit = { left: options.limitBytes ?? Number.POSITIVE_INFINITY };
  const changes = options.follow === undefined ? undefined : new FileChanges(path, options);
  const reader = new LogFileReader(path);
  try {
    if (options.tailLines !== undefined) await reader.skipTo(options.tailLines);
    for (let ended = false; ;) {
      // Asked before reading: what is written after the read wakes the wait below.
      const change: Promise<FileChange> | undefined = ended ? undefined : changes?.next();
      for await (const lines of reader.rest()) {
        const text = lines.map((line) => render(line, options)).join("");
        const bytes = clip(Buffer.from(text), limit);
        if (bytes.length > 0) yield bytes;
        if (limit.left === 0 || options.signal.aborted) return;
      }
      if (change === undefined || options.signal.aborted) return;
      ended = (await change) === "ended";
    }
  } finally {
    changes?.close();
    await reader.close();
  }
}

function render(line: string, { sinceMs, timestamps }: LogOptions): string {
  const parsed = parseCriLogLine(line);
  if (parsed === undefined || parsed.timeMs < (sinceMs ?? 0)) return "";
  const text = parsed.complete ? `${parsed.text}\n` : parsed.text;
  return timestamps === true ? `${parsed.timestamp} ${text}` : text;
}

function clip(bytes: Uint8Array, limit: { left: number }): Uint8Array {
  const kept = bytes.length > limit.left ? bytes.subarray(0, limit.left) : bytes;
  limit.left -= kept.length;
  return kept;
}

/** Reads a file by lines, and goes over to its successor when it was rotated. */
class LogFileReader {
  readonly #path: string;
  #file: FileHandle | undefined;
  #inode: number | undefined;
  #position = 0;
  #rest: Uint8Array = new Uint8Array();

  constructor(path: string) {
    this.#path = path;
  }

  async skipTo(tailLines: number): Promise<void> {
    if (!(await this.#open())) return;
    this.#position = await tailOffset(this.#path, tailLines);
  }

  /** Every complete line from the position on. */
  async *rest(): AsyncGenerator<string[]> {
    if (!(await this.#open())) return;
    for (;;) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const { bytesRead = 0 } =
        (await this.#file?.read(chunk, 0, CHUNK_BYTES, this.#position)) ?? {};
      if (bytesRead === 0) {
        if (await this.atEnd()) return;
        await this.close();
        if (!(await this.#open())) return;
        continue;
      }
      this.#position += bytesRead;
      const lines = this.#lines(chunk.subarray(0, bytesRead));
      if (lines.length > 0) yield lines;
    }
  }

  /** False: the path names another file by now, which is to be read too. */
  async atEnd(): Promise<boolean> {
    if (this.#file === undefined) return true;
    const now = await stat(this.#path).catch(() => undefined);
    return now === undefined || now.ino === this.#inode;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#position = 0;
    await file?.close();
  }

  async #open(): Promise<boolean> {
    if (this.#file !== undefined) return true;
    try {
      this.#file = await open(this.#path, "r");
    } catch {
      return false; // Nothing was written yet, or the log was removed.
    }
    this.#inode = (await this.#file.stat()).ino;
    return true;
  }

  #lines(chunk: Uint8Array): string[] {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const end = bytes.lastIndexOf("\n");
    this.#rest = Buffer.from(bytes.subarray(end + 1, end + 1 + MAX_LOG_LINE_BYTES));
    return end < 0 ? [] : bytes.toString("utf8", 0, end).split("\n");
  }
}

type FileChange = "changed" | "ended";

/** Tells of changes to a file and its directory, at most one told ahead. */
class FileChanges {
  readonly #watcher: FSWatcher;
  #changed = false;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(path: string, options: { follow?: FollowOptions; signal: AbortSignal }) {
    const notify = (): void => {
      this.#changed = true;
      this.#wake?.();
    };
    this.#watcher = watch(dirname(path), { persistent: false }, notify);
    this.#watcher.on("error", notify);
    options.signal.addEventListener("abort", notify, { once: true });
    void options.follow?.ended.then(() => {
      this.#ended = true;
      notify();
    });
  }

  /** Resolves at the next change since the last call; after `ended` nothing more is written. */
  async next(): Promise<FileChange> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = undefined;
    this.#changed = false;
    return this.#ended ? "ended" : "changed";
  }

  close(): void {
    this.#watcher.close();
  }
}
