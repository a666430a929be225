import { sha256Of } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";
import { MAX_MODULE_BYTES } from "./layer-file.ts";
import { MAX_MANIFEST_BYTES, parseManifest, type Descriptor } from "./manifest.ts";
import { MANIFEST_TYPES, OCI_MANIFEST, SPIN_APPLICATION, WASM_LAYERS } from "./media-types.ts";
import type { SendToRegistry } from "./push-content.ts";
import { DEFAULT_TAG, formatReference, type Reference } from "./reference.ts";
import { readBounded } from "./registry-session.ts";
import type { ArtifactBlob, ImageContent } from "./wasm-artifact.ts";

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/**
 * Brings what tells an image's nature into memory: manifest, configuration and WebAssembly layers,
 * every digest verified. Layers of other kinds stay where they are. Throws ImageError.
 */
export async function fetchContent(
  send: SendToRegistry,
  reference: Reference,
): Promise<ImageContent> {
  const { repository, digest: wanted } = reference;
  const version = wanted ?? reference.tag ?? DEFAULT_TAG;
  const path = `/v2/${repository}/manifests/${version}`;
  const headers = { Accept: MANIFEST_TYPES.join(", ") };
  const response = await send(path, { headers });
  await expectFound(response, formatReference(reference));
  const bytes = new Uint8Array(await readBounded(response, MAX_MANIFEST_BYTES, () => undefined));
  const digest = verified(bytes, wanted);
  const type = response.headers.get("content-type")?.split(";")[0]?.trim();
  const mediaType = type === undefined || type === "application/json" ? OCI_MANIFEST : type;
  const manifest = parseManifest(bytes, mediaType);
  const blobs: ArtifactBlob[] = [];
  if (manifest.type === "image") {
    const telling = manifest.layers.filter(
      (layer) => WASM_LAYERS.has(layer.mediaType) || layer.mediaType === SPIN_APPLICATION,
    );
    blobs.push(await fetchBlob(send, repository, manifest.config, MAX_CONFIG_BYTES));
    for (const layer of telling) {
      blobs.push(await fetchBlob(send, repository, layer, MAX_MODULE_BYTES));
    }
  }
  return { manifest: { digest, bytes, mediaType: manifest.mediaType ?? mediaType }, blobs };
}

async function fetchBlob(
  send: SendToRegistry,
  repository: string,
  { digest }: Descriptor,
  limitBytes: number,
): Promise<ArtifactBlob> {
  const response = await send(`/v2/${repository}/blobs/${digest}`, {});
  await expectFound(response, `blob ${digest} of ${repository}`);
  const bytes = new Uint8Array(await readBounded(response, limitBytes, () => undefined));
  return { digest: verified(bytes, digest), bytes };
}

function verified(bytes: Uint8Array, wanted: string | undefined): string {
  const digest = sha256Of(bytes);
  if (wanted === undefined || wanted === digest) return digest;
  throw new ImageError("digest-mismatch", `${wanted} came with digest ${digest}`);
}

async function expectFound(response: Response, what: string): Promise<void> {
  if (response.ok) return;
  await response.body?.cancel();
  switch (response.status) {
    case 401:
    case 403:
      throw new ImageError("unauthorized", `${what}: the registry refuses (${response.status})`);
    case 404:
      throw new ImageError("not-found", `${what} is not at its registry`);
    default:
      throw new ImageError("unreachable", `${what}: the registry answered ${response.status}`);
  }
}
