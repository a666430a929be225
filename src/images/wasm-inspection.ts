import { sha256Of } from "./blob-store.ts";
import { componentNames } from "./component-names.ts";
import { ImageError } from "./image-error.ts";
import { moduleNames } from "./module-names.ts";
import { wasmBinaryKind } from "./wasm-binary.ts";

/** What a WebAssembly binary says of itself. */
export interface WasmInspection {
  readonly kind: "module" | "component";
  readonly sizeBytes: number;
  /** `sha256:…` of the binary. */
  readonly digest: string;
  /** Of a component `wasi:io/streams@0.2.3`, of a module `wasi_snapshot_preview1.fd_read`. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  /** A module whose memory threads would share. */
  readonly sharedMemory?: true;
}

/**
 * Reads kind, imports and exports of a module or component. Throws ImageError `unsupported` for
 * bytes that are neither, and for damaged ones.
 */
export function inspectWasm(bytes: Uint8Array): WasmInspection {
  const kind = wasmBinaryKind(bytes);
  if (kind === undefined) {
    const message = "not WebAssembly: a module or component begins with \\0asm and its version";
    throw new ImageError("unsupported", message);
  }
  const shared = { kind, sizeBytes: bytes.length, digest: sha256Of(bytes) };
  if (kind === "component") return { ...shared, ...componentNames(bytes) };
  const { imports, exports } = moduleNames(bytes);
  return {
    ...shared,
    imports: [...new Set(imports.map(({ module, name }) => `${module}.${name}`))],
    exports,
    ...(imports.some((each) => each.sharedMemory) ? { sharedMemory: true as const } : {}),
  };
}
