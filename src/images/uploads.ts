import { randomUUID } from "node:crypto";
import type { Clock } from "../lib/index.ts";
import type { BlobStore, BlobWriter } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";

/** Uploads under way at once; a further one is answered 429. */
export const MAX_UPLOADS = 64;
/** An upload nobody continued for so long is given up. */
export const UPLOAD_EXPIRY_MS = 60 * 60 * 1_000;

export interface Upload {
  readonly id: string;
  readonly repository: string;
  readonly writer: BlobWriter;
  lastUsedMs: number;
  /** A request is appending to it; another one at the same time is refused. */
  busy: boolean;
}

/** Blobs that arrive in several requests. They live in memory and end with the process. */
export class Uploads {
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  readonly #limitBytes: number;
  readonly #uploads = new Map<string, Upload>();
  #opening = 0;

  constructor(blobs: BlobStore, clock: Clock, limitBytes: number) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#limitBytes = limitBytes;
  }

  /** Throws ImageError `overloaded` when too many are under way. */
  async start(repository: string): Promise<Upload> {
    await this.#expire();
    if (this.#uploads.size + this.#opening >= MAX_UPLOADS) {
      throw new ImageError("overloaded", `${MAX_UPLOADS} uploads are already under way`);
    }
    this.#opening++;
    try {
      const writer = await this.#blobs.begin(this.#limitBytes);
      const lastUsedMs = this.#clock.monotonic();
      const upload = { id: randomUUID(), repository, writer, lastUsedMs, busy: false };
      this.#uploads.set(upload.id, upload);
      return upload;
    } finally {
      this.#opening--;
    }
  }

  find(repository: string, id: string): Upload | undefined {
    const upload = this.#uploads.get(id);
    if (upload === undefined || upload.repository !== repository) return undefined;
    upload.lastUsedMs = this.#clock.monotonic();
    return upload;
  }

  /** Forgets the upload and removes what was not committed. */
  async end(upload: Upload): Promise<void> {
    this.#uploads.delete(upload.id);
    await upload.writer.discard();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#uploads.values()].map((upload) => this.end(upload)));
  }

  async #expire(): Promise<void> {
    const oldestMs = this.#clock.monotonic() - UPLOAD_EXPIRY_MS;
    const stale = [...this.#uploads.values()].filter(
      (upload) => !upload.busy && upload.lastUsedMs < oldestMs,
    );
    await Promise.all(stale.map((upload) => this.end(upload)));
  }
}
