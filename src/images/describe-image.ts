import { importAdvice, type ImportAdvice } from "./import-advice.ts";
import { ImageError } from "./image-error.ts";
import { parseManifest, type ImageManifest } from "./manifest.ts";
import { SPIN_APPLICATION, WASM_CONFIG, WASM_LAYERS } from "./media-types.ts";
import { checkSpinComponent, spinApplication } from "./spin-application.ts";
import type { ImageContent } from "./wasm-artifact.ts";
import { inspectWasm, type WasmInspection } from "./wasm-inspection.ts";

/** What an image is, for people and programs. */
export interface ImageDescription {
  /** `other`: anything without WebAssembly in a layer of its own; a container, or an index. */
  readonly kind: "module" | "component" | "other";
  /** Of the manifest; absent for a bare file. */
  readonly digest?: string;
  readonly mediaType?: string;
  /** Of the configuration, which tells one kind of artifact from another. */
  readonly configType?: string;
  /** Of manifest, configuration and layers together, or of the file. */
  readonly sizeBytes: number;
  readonly binary?: WasmInspection;
  readonly annotations: Readonly<Record<string, string>>;
  readonly advice: readonly ImportAdvice[];
  /** Why this image of Spin's cannot run here, in one sentence. */
  readonly unsupported?: string;
}

/** Describes a bare module or component. Throws ImageError `unsupported`. */
export function describeBinary(bytes: Uint8Array): ImageDescription {
  const binary = inspectWasm(bytes);
  const { kind, sizeBytes } = binary;
  return { kind, sizeBytes, binary, annotations: {}, advice: importAdvice(binary) };
}

/** Describes an image by what of it was fetched; see `fetchContent`. Throws ImageError. */
export function describeImage(content: ImageContent): ImageDescription {
  const { digest, bytes, mediaType } = content.manifest;
  const manifest = parseManifest(bytes, mediaType);
  const shared = { digest, mediaType, annotations: manifest.annotations ?? {} };
  if (manifest.type === "index") {
    return { ...shared, kind: "other", sizeBytes: bytes.length, advice: [] };
  }
  const configType = manifest.config.mediaType;
  const sizeBytes = [manifest.config, ...manifest.layers].reduce(
    (sum, each) => sum + each.size,
    bytes.length,
  );
  const { layer, unsupported } = runnableLayer(content, manifest);
  const blob = content.blobs.find((each) => each.digest === layer);
  if (blob === undefined) {
    const why = unsupported === undefined ? {} : { unsupported };
    return { ...shared, kind: "other", configType, sizeBytes, advice: [], ...why };
  }
  const binary = inspectWasm(blob.bytes);
  const why = unsupported ?? spinRefusal(manifest, binary);
  return {
    ...shared,
    kind: binary.kind,
    configType,
    sizeBytes,
    binary,
    advice: importAdvice(binary),
    ...(why === undefined ? {} : { unsupported: why }),
  };
}

/** The digest of the layer that a pod would run, and what speaks against it. */
function runnableLayer(
  content: ImageContent,
  manifest: ImageManifest,
): { layer?: string; unsupported?: string } {
  const layers = manifest.layers.filter((each) => WASM_LAYERS.has(each.mediaType));
  const first = layers[0] === undefined ? {} : { layer: layers[0].digest };
  const locked = lockedDigest(manifest);
  const application = content.blobs.find((each) => each.digest === locked);
  if (application !== undefined) {
    try {
      return { layer: spinApplication(application.bytes).wasmDigest };
    } catch (error) {
      return { ...first, unsupported: messageOf(error) };
    }
  }
  if (manifest.config.mediaType === WASM_CONFIG && layers.length !== 1) {
    return { ...first, unsupported: `an artifact with ${layers.length} wasm layers, not one` };
  }
  return first;
}

function lockedDigest(manifest: ImageManifest): string | undefined {
  const parts = [...manifest.layers, manifest.config];
  return parts.find((each) => each.mediaType === SPIN_APPLICATION)?.digest;
}

function spinRefusal(manifest: ImageManifest, binary: WasmInspection): string | undefined {
  if (lockedDigest(manifest) === undefined) return undefined;
  try {
    checkSpinComponent(binary);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof ImageError) return error.message;
  throw error;
}
