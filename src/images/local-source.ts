import type { ContentSource } from "./content-source.ts";
import { ImageError } from "./image-error.ts";
import type { LocalRegistry } from "./local-registry.ts";
import { MAX_MANIFEST_BYTES, type Descriptor } from "./manifest.ts";

/** A repository of the cluster's own registry as the source of an image. */
export class LocalSource implements ContentSource {
  readonly #registry: LocalRegistry;
  readonly #repository: string;

  constructor(registry: LocalRegistry, repository: string) {
    this.#registry = registry;
    this.#repository = repository;
  }

  async manifest(
    reference: string,
  ): Promise<{ digest: string; bytes: Uint8Array; mediaType: string | undefined }> {
    const { repositories, blobs } = this.#registry;
    const digest = repositories.resolve(this.#repository, reference);
    if (digest === undefined) {
      const what = `${this.#repository}: ${reference}`;
      throw new ImageError("not-found", `${what} is not in the cluster's registry`);
    }
    const bytes = await blobs.read(digest, MAX_MANIFEST_BYTES);
    const { mediaType } = repositories.manifests(this.#repository).get(digest) ?? {};
    return { digest, bytes, mediaType };
  }

  async fetchBlob(descriptor: Descriptor): Promise<void> {
    if (this.#registry.blobs.sizeOf(descriptor.digest) !== undefined) return;
    const message = `blob ${descriptor.digest} is not in the cluster's registry any more`;
    throw new ImageError("not-found", message);
  }
}
