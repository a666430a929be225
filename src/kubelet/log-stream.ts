import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { parseCriLogLine } from "./cri-log-line.ts";
import { logFiles } from "../runtime/index.ts";
import { tailPlace } from "./log-tail.ts";

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
/** Looks for the next file: each rotation that comes in between makes one more necessary. */
const MAX_LOOKS = 10;
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

/**
 * Reads a log by lines, from the oldest file that is kept, and goes over to the next one where a
 * file ends and is not the one being written.
 */
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
    const place = await tailPlace(logFiles(this.#path), tailLines);
    if (place === undefined || !(await this.#open(place.path))) return;
    this.#position = place.offset;
  }

  /** Every complete line from the position on. */
  async *rest(): AsyncGenerator<string[]> {
    if (this.#file === undefined && !(await this.#openNext())) return;
    for (let isPast = false; ;) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const { bytesRead = 0 } =
        (await this.#file?.read(chunk, 0, CHUNK_BYTES, this.#position)) ?? {};
      if (bytesRead > 0) {
        this.#position += bytesRead;
        const lines = this.#lines(chunk.subarray(0, bytesRead));
        if (lines.length > 0) yield lines;
      } else if (isPast) {
        if (!(await this.#openNext())) return;
        isPast = false;
      } else {
        // A past one is read once more: it may have grown between the last read and its rotation.
        isPast = await this.#isPast();
        if (!isPast) return;
      }
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#position = 0;
    await file?.close();
  }

  /** Nobody writes to the file any more: another one is the newest. */
  async #isPast(): Promise<boolean> {
    const newest = (await listed(this.#path)).at(-1);
    return newest !== undefined && newest.inode !== this.#inode;
  }

  /** Opens the file after the one that was read, or the oldest. False: there is none. */
  async #openNext(): Promise<boolean> {
    for (let look = 0; look < MAX_LOOKS; look++) {
      const files = await listed(this.#path);
      // A file that is not listed any more is older than all that are.
      const at = files.findIndex(({ inode }) => inode === this.#inode);
      const next = files[at + 1];
      if (next === undefined) return false;
      if (await this.#open(next.path, next.inode)) return true;
    }
    return false;
  }

  /** With an inode: false when the path names another file by now, because of a rotation. */
  async #open(path: string, inode?: number): Promise<boolean> {
    let file: FileHandle;
    try {
      file = await open(path, "r");
    } catch {
      return false; // Nothing was written yet, or the log was removed or rotated meanwhile.
    }
    const { ino } = await file.stat();
    if (inode !== undefined && ino !== inode) {
      await file.close();
      return false;
    }
    await this.close();
    this.#file = file;
    this.#inode = ino;
    return true;
  }

  #lines(chunk: Uint8Array): string[] {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const end = bytes.lastIndexOf("\n");
    this.#rest = Buffer.from(bytes.subarray(end + 1, end + 1 + MAX_LOG_LINE_BYTES));
    return end < 0 ? [] : bytes.toString("utf8", 0, end).split("\n");
  }
}

/**
 * The files of a log that are there, the oldest first. They are looked at from the newest on: a
 * rotation meanwhile can show one twice, but hides none.
 */
async function listed(path: string): Promise<{ path: string; inode: number }[]> {
  const found: { path: string; inode: number }[] = [];
  for (const file of logFiles(path).toReversed()) {
    const status = await stat(file).catch(() => undefined);
    if (status !== undefined) found.unshift({ path: file, inode: status.ino });
  }
  return found;
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
