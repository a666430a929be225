import { sha256Of } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";
import type { LocalRegistry } from "./local-registry.ts";
import { OCI_MANIFEST, WASM_CONFIG, WASM_LAYER } from "./media-types.ts";
import { inspectWasm, type WasmInspection } from "./wasm-inspection.ts";

/** Content of the registry, named by its digest. */
export interface ArtifactBlob {
  readonly digest: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a push stores: the blobs first, then the manifest that names them. */
export interface ImageContent {
  readonly blobs: readonly ArtifactBlob[];
  readonly manifest: ArtifactBlob & { readonly mediaType: string };
}

/** One module or component as an image. */
export interface WasmArtifact extends ImageContent {
  readonly inspection: WasmInspection;
}

export interface WasmArtifactOptions {
  /** Annotations for the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** The world a component is for, such as `wasi:http/proxy@0.2.0`; only told, never checked. */
  readonly target?: string;
}

/** Where a module's imports are told: the configuration has a place for a component's only. */
export const MODULE_IMPORTS_ANNOTATION = "dev.kubun.module.imports";
const MAX_ANNOTATION_LENGTH = 16_384;
/**
 * The layout wants a time, and readers of it insist; a fixed one lets the same bytes have the same
 * digest wherever and whenever they are built.
 */
const CREATED = "1970-01-01T00:00:00Z";

/**
 * A module or component as the OCI artifact of the CNCF's wasm working group: one
 * `application/wasm` layer, a configuration that names platform, layer, and a component's imports
 * and exports. The same bytes and options always give the same digests. Throws ImageError
 * `unsupported` for bytes that are not WebAssembly.
 */
export function wasmArtifact(bytes: Uint8Array, options: WasmArtifactOptions = {}): WasmArtifact {
  const inspection = inspectWasm(bytes);
  const { imports, exports, kind } = inspection;
  const layer = { digest: inspection.digest, bytes: new Uint8Array(bytes) };
  const target = options.target === undefined ? {} : { target: options.target };
  const config = jsonBlob({
    created: CREATED,
    architecture: "wasm",
    os: kind === "module" ? "wasip1" : "wasip2",
    layerDigests: [layer.digest],
    ...(kind === "component" ? { component: { exports, imports, ...target } } : {}),
  });
  const annotations = {
    ...(kind === "module" ? moduleAnnotations(imports) : {}),
    ...options.annotations,
  };
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: WASM_CONFIG, digest: config.digest, size: config.bytes.length },
    layers: [{ mediaType: WASM_LAYER, digest: layer.digest, size: layer.bytes.length }],
    ...(Object.keys(annotations).length === 0 ? {} : { annotations: sorted(annotations) }),
  });
  return { blobs: [layer, config], manifest: { ...manifest, mediaType: OCI_MANIFEST }, inspection };
}

/** The functions, or when they are too many for an annotation only the modules they are of. */
function moduleAnnotations(imports: readonly string[]): Readonly<Record<string, string>> {
  if (imports.length === 0) return {};
  const functions = imports.join(",");
  if (functions.length <= MAX_ANNOTATION_LENGTH) return { [MODULE_IMPORTS_ANNOTATION]: functions };
  const modules = [...new Set(imports.map((name) => name.split(".")[0] ?? ""))].join(",");
  return { [MODULE_IMPORTS_ANNOTATION]: modules.slice(0, MAX_ANNOTATION_LENGTH) };
}

/** By name, so that the order in which somebody gave them does not change the digest. */
function sorted(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1)));
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
