import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { open, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ImageError } from "./image-error.ts";

const PREFIX = "sha256:";
const CHUNK_BYTES = 64 * 1024;

export function sha256Of(bytes: Uint8Array): string {
  return PREFIX + createHash("sha256").update(bytes).digest("hex");
}

/**
 * Content by digest: `blobs/sha256/ab/abcd…`. A file has its final name only when it is whole,
 * verified and synced, so that a crash leaves nothing but a file under `incoming/`, removed at the
 * next start.
 */
export class BlobStore {
  readonly #blobs: string;
  readonly #incoming: string;

  constructor(directory: string) {
    this.#blobs = join(directory, "blobs", "sha256");
    this.#incoming = join(directory, "incoming");
    rmSync(this.#incoming, { recursive: true, force: true });
    mkdirSync(this.#incoming, { recursive: true });
    mkdirSync(this.#blobs, { recursive: true });
  }

  pathOf(digest: string): string {
    const hex = digest.slice(PREFIX.length);
    return join(this.#blobs, hex.slice(0, 2), hex);
  }

  /** Bytes; undefined when the blob is not here. */
  sizeOf(digest: string): number | undefined {
    return statSync(this.pathOf(digest), { throwIfNoEntry: false })?.size;
  }

  /** Milliseconds since the epoch; undefined when the blob is not here. */
  modifiedAt(digest: string): number | undefined {
    return statSync(this.pathOf(digest), { throwIfNoEntry: false })?.mtimeMs;
  }

  /** Makes the blob as young as a fresh one, for whom age decides what is garbage. */
  touch(digest: string, nowMs: number): void {
    const path = this.pathOf(digest);
    if (this.sizeOf(digest) !== undefined) utimesSync(path, nowMs / 1_000, nowMs / 1_000);
  }

  /** The whole content. Throws ImageError `not-found`, or `too-large` beyond the limit. */
  async read(digest: string, limitBytes: number): Promise<Buffer> {
    const size = this.sizeOf(digest);
    if (size === undefined) throw new ImageError("not-found", `blob ${digest} is not stored`);
    if (size > limitBytes) {
      throw new ImageError(
        "too-large",
        `blob ${digest} has ${size} bytes of ${limitBytes} allowed`,
      );
    }
    return readFile(this.pathOf(digest));
  }

  async begin(limitBytes: number): Promise<BlobWriter> {
    const path = join(this.#incoming, randomUUID());
    return new BlobWriter(this, path, await open(path, "wx", 0o600), limitBytes);
  }

  async put(bytes: Uint8Array): Promise<string> {
    const digest = sha256Of(bytes);
    if (this.sizeOf(digest) === bytes.length) return digest;
    const writer = await this.begin(bytes.length);
    try {
      await writer.append(bytes);
      return (await writer.commit(digest)).digest;
    } finally {
      await writer.discard();
    }
  }

  remove(digest: string): void {
    rmSync(this.pathOf(digest), { force: true });
  }

  list(): string[] {
    return readdirSync(this.#blobs).flatMap((shard) =>
      readdirSync(join(this.#blobs, shard)).map((hex) => PREFIX + hex),
    );
  }
}

/** One blob on its way in. Not for concurrent use: one append after the other. */
export class BlobWriter {
  readonly #store: BlobStore;
  readonly #path: string;
  readonly #limitBytes: number;
  readonly #hash = createHash("sha256");
  #file: FileHandle | undefined;
  #sizeBytes = 0;

  constructor(store: BlobStore, path: string, file: FileHandle, limitBytes: number) {
    this.#store = store;
    this.#path = path;
    this.#file = file;
    this.#limitBytes = limitBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Throws ImageError `too-large` when the limit is passed; the writer is of no use then. */
  async append(bytes: Uint8Array): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw new ImageError("cancelled", "the upload was given up");
    if (this.#sizeBytes + bytes.length > this.#limitBytes) {
      throw new ImageError("too-large", `more than the ${this.#limitBytes} bytes allowed`);
    }
    this.#sizeBytes += bytes.length;
    this.#hash.update(bytes);
    for (let written = 0; written < bytes.length;) {
      written += (await file.write(bytes, written)).bytesWritten;
    }
  }

  async appendAll(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream) {
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES * 16) {
        await this.append(chunk.subarray(at, at + CHUNK_BYTES * 16));
      }
    }
  }

  /**
   * Makes the blob durable under its digest. Throws ImageError `digest-mismatch` when the content
   * is not what was announced.
   */
  async commit(expected?: string): Promise<{ digest: string; sizeBytes: number }> {
    const file = this.#file;
    if (file === undefined) throw new ImageError("cancelled", "the upload was given up");
    const digest = PREFIX + this.#hash.digest("hex");
    if (expected !== undefined && digest !== expected) {
      throw new ImageError("digest-mismatch", `content has digest ${digest}, not ${expected}`);
    }
    await file.sync();
    await file.close();
    this.#file = undefined;
    const target = this.#store.pathOf(digest);
    mkdirSync(dirname(target), { recursive: true });
    await rename(this.#path, target);
    await syncDirectory(dirname(target));
    return { digest, sizeBytes: this.#sizeBytes };
  }

  /** Removes what was written unless it was committed; may be called at any time. */
  async discard(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.close();
    await rm(this.#path, { force: true });
  }
}

/** Makes a rename in the directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a small file so that a crash leaves either the old or the new content. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  const fresh = (await stat(directory).catch(() => undefined)) === undefined;
  if (fresh) mkdirSync(directory, { recursive: true });
  const temporary = join(directory, `.${randomUUID()}`);
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(directory);
  if (fresh) await syncDirectory(dirname(directory));
}
