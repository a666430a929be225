import { sha256Of } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";
import type { LocalRegistry } from "./local-registry.ts";
import { OCI_MANIFEST, WASM_CONFIG, WASM_LAYER } from "./media-types.ts";
import { wasmBinaryKind } from "./wasm-binary.ts";

export interface WasmArtifact {
  readonly repository: string;
  readonly tag: string;
  readonly bytes: Uint8Array;
  /** Milliseconds since the epoch, for the artifact's creation time. */
  readonly nowMs: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Stores a module or component as the OCI artifact of the CNCF's wasm working group: one
 * `application/wasm` layer, a configuration that names platform and layer. Answers the digest of
 * the manifest. Throws ImageError `unsupported` for bytes that are not WebAssembly.
 */
export async function pushWasmArtifact(
  registry: LocalRegistry,
  artifact: WasmArtifact,
): Promise<string> {
  const { repository, tag, bytes, nowMs, annotations } = artifact;
  const kind = wasmBinaryKind(bytes);
  if (kind === undefined) {
    const message = "not WebAssembly: a module or component begins with \\0asm and its version";
    throw new ImageError("unsupported", message);
  }
  if (bytes.length > registry.maxBlobBytes) {
    throw new ImageError("too-large", `more than ${registry.maxBlobBytes} bytes`);
  }
  const layer = sha256Of(bytes);
  const config = Buffer.from(
    JSON.stringify({
      created: new Date(nowMs).toISOString(),
      architecture: "wasm",
      os: kind === "module" ? "wasip1" : "wasip2",
      layerDigests: [layer],
    }),
  );
  const configDigest = sha256Of(config);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: WASM_CONFIG, digest: configDigest, size: config.length },
      layers: [{ mediaType: WASM_LAYER, digest: layer, size: bytes.length }],
      ...(annotations === undefined ? {} : { annotations }),
    }),
  );
  return registry.pin([layer, configDigest], async () => {
    for (const blob of [bytes, config]) {
      const digest = await registry.blobs.put(blob);
      await registry.repositories.addBlob(repository, digest);
    }
    const options = { mediaType: OCI_MANIFEST, tag };
    return (await registry.putManifest(repository, manifest, options)).digest;
  });
}
