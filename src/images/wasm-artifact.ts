import { sha256Of } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";
import type { LocalRegistry } from "./local-registry.ts";
import { OCI_MANIFEST, WASM_CONFIG, WASM_LAYER } from "./media-types.ts";
import { wasmBinaryKind } from "./wasm-binary.ts";

/** Content of the registry, named by its digest. */
export interface ArtifactBlob {
  readonly digest: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a push of one module stores: the blobs first, then the manifest that names them. */
export interface WasmArtifact {
  readonly blobs: readonly ArtifactBlob[];
  readonly manifest: ArtifactBlob & { readonly mediaType: string };
}

/**
 * A module or component as the OCI artifact of the CNCF's wasm working group: one
 * `application/wasm` layer, a configuration that names platform and layer. The same bytes always
 * give the same digests. Throws ImageError `unsupported` for bytes that are not WebAssembly.
 */
export function wasmArtifact(
  module: Uint8Array,
  annotations?: Readonly<Record<string, string>>,
): WasmArtifact {
  const kind = wasmBinaryKind(module);
  if (kind === undefined) {
    const message = "not WebAssembly: a module or component begins with \\0asm and its version";
    throw new ImageError("unsupported", message);
  }
  const layer = blobOf(new Uint8Array(module));
  const config = jsonBlob({
    architecture: "wasm",
    os: kind === "module" ? "wasip1" : "wasip2",
    layerDigests: [layer.digest],
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: WASM_CONFIG, digest: config.digest, size: config.bytes.length },
    layers: [{ mediaType: WASM_LAYER, digest: layer.digest, size: layer.bytes.length }],
    ...(annotations === undefined ? {} : { annotations }),
  });
  return { blobs: [layer, config], manifest: { ...manifest, mediaType: OCI_MANIFEST } };
}

/** Stores an artifact under a name and tag. Answers the digest of the manifest. */
export async function pushWasmArtifact(
  registry: LocalRegistry,
  artifact: WasmArtifact,
  name: { readonly repository: string; readonly tag: string },
): Promise<string> {
  const { blobs, manifest } = artifact;
  const tooLarge = blobs.some((blob) => blob.bytes.length > registry.maxBlobBytes);
  if (tooLarge) throw new ImageError("too-large", `more than ${registry.maxBlobBytes} bytes`);
  const digests = blobs.map((blob) => blob.digest);
  return registry.pin(digests, async () => {
    for (const blob of blobs) {
      const digest = await registry.blobs.put(blob.bytes);
      await registry.repositories.addBlob(name.repository, digest);
    }
    const options = { mediaType: manifest.mediaType, tag: name.tag };
    const bytes = Buffer.from(manifest.bytes);
    return (await registry.putManifest(name.repository, bytes, options)).digest;
  });
}

function jsonBlob(value: unknown): ArtifactBlob {
  return blobOf(new TextEncoder().encode(JSON.stringify(value)));
}

function blobOf(bytes: Uint8Array<ArrayBuffer>): ArtifactBlob {
  return { digest: sha256Of(bytes), bytes };
}
