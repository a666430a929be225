import type { Descriptor } from "./manifest.ts";

/** From where an image's content comes: this cluster's registry or another one. */
export interface ContentSource {
  /** The bytes of a manifest by tag or digest, with the media type they came as. */
  manifest(
    reference: string,
  ): Promise<{ digest: string; bytes: Uint8Array; mediaType: string | undefined }>;
  /** Resolves when the blob is in the blob store, verified. */
  fetchBlob(descriptor: Descriptor): Promise<void>;
}
