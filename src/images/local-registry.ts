import type { Clock, Logger } from "../lib/index.ts";
import { sha256Of, type BlobStore } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";
import { OCI_MANIFEST } from "./media-types.ts";
import {
  MAX_MANIFEST_BYTES,
  parseManifest,
  referencesOf,
  type ImageManifest,
  type Manifest,
} from "./manifest.ts";
import { Repositories, type ManifestRecord, type TagState } from "./repositories.ts";
import { Uploads } from "./uploads.ts";

export const DEFAULT_MAX_BLOB_BYTES = 4 * 1024 * 1024 * 1024;

/** A manifest names content that is not stored. */
export class MissingContentError extends Error {
  override readonly name = "MissingContentError";
  readonly digest: string;

  constructor(digest: string) {
    super(`manifest names ${digest}, which is not in this repository`);
    this.digest = digest;
  }
}

export interface LocalRegistryOptions {
  readonly directory: string;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxBlobBytes: number;
}

export interface StoredManifest {
  readonly digest: string;
  readonly subject?: string;
}

/** The content of the cluster's own registry: repositories over blobs. */
export class LocalRegistry {
  readonly blobs: BlobStore;
  readonly repositories: Repositories;
  readonly uploads: Uploads;
  readonly maxBlobBytes: number;
  /** Content in use by an operation under way: not to be collected. */
  readonly pinned = new Map<string, number>();

  /**
   * Told of each tag that was set or removed here; a push is answered when it has resolved. It
   * must not reject.
   */
  onTagChange: ((change: TagState) => Promise<void>) | undefined;

  readonly #clock: Clock;

  constructor(options: LocalRegistryOptions) {
    this.#clock = options.clock;
    this.blobs = options.blobs;
    this.maxBlobBytes = options.maxBlobBytes;
    this.repositories = new Repositories(options.directory, options.logger);
    this.uploads = new Uploads(options.blobs, options.clock, options.maxBlobBytes);
  }

  /** Bytes of a blob as this repository has it. */
  blobSize(repository: string, digest: string): number | undefined {
    if (!this.repositories.blobs(repository).has(digest)) return undefined;
    return this.blobs.sizeOf(digest);
  }

  /** Lets the repository have a blob that is stored already. */
  async mount(repository: string, digest: string): Promise<void> {
    this.blobs.touch(digest, this.#clock.now());
    await this.pin([digest], () => this.repositories.addBlob(repository, digest));
  }

  /**
   * Stores a manifest, under its tag too when one is given. Throws ImageError `unsupported` for
   * what is no manifest, and {@link MissingContentError}.
   */
  async putManifest(
    repository: string,
    bytes: Uint8Array,
    options: { mediaType: string | undefined; tag?: string },
  ): Promise<StoredManifest> {
    if (bytes.length > MAX_MANIFEST_BYTES) {
      throw new ImageError("too-large", `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`);
    }
    const manifest = parseManifest(bytes, options.mediaType);
    const needed = referencesOf(manifest).filter((each) => (each.urls ?? []).length === 0);
    for (const { digest } of needed) {
      const present =
        manifest.type === "index"
          ? this.repositories.manifests(repository).has(digest)
          : this.blobSize(repository, digest) !== undefined;
      if (!present) throw new MissingContentError(digest);
    }
    const digest = sha256Of(bytes);
    const references = needed.map((each) => each.digest);
    const record = recordOf(manifest, bytes.length, options.mediaType, references);
    await this.pin([digest, ...references], async () => {
      await this.blobs.put(bytes);
      await this.repositories.addManifest(repository, digest, record);
      if (options.tag !== undefined) {
        const at = this.#after(repository, options.tag);
        await this.repositories.setTag(repository, options.tag, digest, at);
        await this.onTagChange?.({ repository, tag: options.tag, digest, at });
      }
    });
    return { digest, ...(record.subject === undefined ? {} : { subject: record.subject }) };
  }

  deleteTag(repository: string, tag: string): boolean {
    const at = this.#after(repository, tag);
    if (!this.repositories.deleteTag(repository, tag, at)) return false;
    void this.onTagChange?.({ repository, tag, at });
    return true;
  }

  /** Its tags go with it. */
  deleteManifest(repository: string, digest: string): boolean {
    for (const [tag, target] of this.repositories.tags(repository) ?? []) {
      if (target === digest) this.deleteTag(repository, tag);
    }
    return this.repositories.deleteManifest(repository, digest, this.#clock.now());
  }

  /** Now, and in any case later than what is known of the tag. */
  #after(repository: string, tag: string): number {
    const known = this.repositories.tagTime(repository, tag) ?? 0;
    return Math.max(this.#clock.now(), known + 1);
  }

  /** Keeps the garbage collection away from this content while the work goes on. */
  async pin<T>(digests: readonly string[], work: () => Promise<T>): Promise<T> {
    for (const digest of digests) this.pinned.set(digest, (this.pinned.get(digest) ?? 0) + 1);
    try {
      return await work();
    } finally {
      for (const digest of digests) {
        const left = (this.pinned.get(digest) ?? 1) - 1;
        if (left === 0) this.pinned.delete(digest);
        else this.pinned.set(digest, left);
      }
    }
  }
}

function recordOf(
  manifest: Manifest,
  sizeBytes: number,
  contentType: string | undefined,
  references: string[],
): ManifestRecord {
  const { annotations, subject } = manifest;
  const artifactType =
    manifest.artifactType ?? (manifest.type === "image" ? artifactTypeOf(manifest) : undefined);
  return {
    mediaType: manifest.mediaType ?? contentType ?? OCI_MANIFEST,
    sizeBytes,
    references,
    ...(subject === undefined ? {} : { subject: subject.digest }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

/** Without an artifactType the media type of the config stands for it (distribution spec 1.1). */
function artifactTypeOf(manifest: ImageManifest): string {
  return manifest.config.mediaType;
}
