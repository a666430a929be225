import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import type { Clock, Logger } from "../lib/index.ts";

export interface RotatingFileOptions {
  readonly path: string;
  /** A file that has grown beyond this is put aside. */
  readonly maxBytes: number;
  /** Files that were put aside and are kept; the oldest go first. */
  readonly maxFiles: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What may wait for the disk; {@link MAX_WAITING_BYTES} unless given. */
  readonly maxWaitingBytes?: number;
}

/** A file of lines that never grows without end. */
export interface RotatingFile {
  /** Returns at once; lines beyond what may wait are dropped, and that is logged. */
  write(line: string): void;
  /** Resolves when everything is written. */
  close(): Promise<void>;
}

export const MAX_WAITING_BYTES = 8 * 1024 * 1024;
const PRIVATE_MODE = 0o600;
const STAMP = /^-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;

/**
 * Opens a file of lines for appending. Throws the system's error when that cannot be: an operator
 * who asks for a log must not believe that there is one.
 */
export async function openRotatingFile(options: RotatingFileOptions): Promise<RotatingFile> {
  mkdirSync(dirname(options.path), { recursive: true });
  const handle = await open(options.path, "a", PRIVATE_MODE);
  return new LineFile(options, handle);
}

class LineFile implements RotatingFile {
  readonly #options: RotatingFileOptions;
  #handle: FileHandle;
  #bytes: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(options: RotatingFileOptions, handle: FileHandle) {
    this.#options = options;
    this.#handle = handle;
    this.#bytes = statSync(options.path).size;
  }

  write(line: string): void {
    const { maxWaitingBytes = MAX_WAITING_BYTES } = this.#options;
    // A text has at most as many bytes as three times its length.
    const bytes = line.length + 1;
    if (this.#waitingBytes + bytes > maxWaitingBytes) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    this.#writing ??= this.#drain();
  }

  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#handle.close();
  }

  async #drain(): Promise<void> {
    const { path, logger } = this.#options;
    while (this.#waiting.length > 0) {
      const text = `${this.#waiting.join("\n")}\n`;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        const { bytesWritten } = await this.#handle.write(text);
        this.#bytes += bytesWritten;
        if (this.#bytes > this.#options.maxBytes) await this.#rotate();
      } catch (error) {
        logger.error("lines of a log are lost", { path, error: String(error) });
      }
      if (this.#dropped > 0) {
        logger.error("the disk is too slow for a log: lines are lost", {
          path,
          lines: this.#dropped,
        });
        this.#dropped = 0;
      }
    }
    this.#writing = undefined;
  }

  async #rotate(): Promise<void> {
    const { path, clock, maxFiles } = this.#options;
    const kept = this.#asides();
    const { base, ending } = partsOf(path);
    const nameAt = (ms: number): string =>
      `${base}-${new Date(ms).toISOString().replaceAll(":", "-").replace("Z", "")}${ending}`;
    let stampMs = clock.now();
    while (kept.includes(nameAt(stampMs))) stampMs++;
    const aside = nameAt(stampMs);
    renameSync(path, join(dirname(path), aside));
    for (const name of [...kept, aside].sort().slice(0, -maxFiles)) {
      rmSync(join(dirname(path), name), { force: true });
    }
    const full = this.#handle;
    this.#handle = await open(path, "a", PRIVATE_MODE);
    this.#bytes = 0;
    await full.close();
  }

  /** The files that were put aside, in no order. */
  #asides(): string[] {
    const { path } = this.#options;
    const { base, ending } = partsOf(path);
    return readdirSync(dirname(path)).filter(
      (name) =>
        name.startsWith(`${base}-`) &&
        STAMP.test(name.slice(base.length, name.length - ending.length)),
    );
  }
}

function partsOf(path: string): { readonly base: string; readonly ending: string } {
  const ending = extname(path);
  return { base: basename(path, ending), ending };
}
