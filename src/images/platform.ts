import type { Descriptor } from "./manifest.ts";

const WASM_SYSTEMS = new Set(["wasi", "wasip1", "wasip2"]);
const WASM_ARCHITECTURES = new Set(["wasm", "wasm32"]);

/** True for the platforms of WebAssembly images: `wasi/wasm`, `wasip1/wasm`, `wasip2/wasm`. */
export function isWasmPlatform(os: string | undefined, architecture: string | undefined): boolean {
  return WASM_SYSTEMS.has(os ?? "") || WASM_ARCHITECTURES.has(architecture ?? "");
}

/** The architecture of this machine in the words of image indexes. */
export function hostArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

/**
 * The image to take from an index: WebAssembly first, then Linux for this machine, then the only
 * one there is. Undefined when none fits.
 */
export function choosePlatform(
  manifests: readonly Descriptor[],
  architecture: string,
): Descriptor | undefined {
  const images = manifests.filter((each) => each.platform?.os !== "unknown");
  return (
    images.find((each) => isWasmPlatform(each.platform?.os, each.platform?.architecture)) ??
    images.find(
      (each) => each.platform?.os === "linux" && each.platform.architecture === architecture,
    ) ??
    (images.length === 1 && images[0]?.platform === undefined ? images[0] : undefined)
  );
}
