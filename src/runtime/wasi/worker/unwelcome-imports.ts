import { hasSharedMemory, importsOf, isCoreModule, type ModuleImport } from "./import-section.ts";

/** Imports a message names; of more than that it tells the number. */
export const MAX_NAMED_IMPORTS = 8;

/** Interfaces people try, and what to tell them. The first that fits counts. */
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [/^wasi_unstable\./, "an early draft of WASI; build for wasi_snapshot_preview1 (wasm32-wasip1)"],
  [
    /^wasi_snapshot_preview1\.sock_/,
    "sockets of WasmEdge, which opens connections in preview 1; listen on the container's ports " +
      "with sock_accept, or build a WASI 0.2 component to connect to others",
  ],
  [/^wasi:/, "WASI 0.2 without a component around it; make one with `wasm-tools component new`"],
  [/^wasi_ephemeral_|^wasi_nn/, "a proposal that is not part of preview 1"],
  [/^go(js)?\./, "Go for JavaScript hosts; build with GOOS=wasip1 GOARCH=wasm"],
  [/^(wbg|__wbindgen)/, "wasm-bindgen for JavaScript hosts; build for wasm32-wasip1 without it"],
  [/^env\.(emscripten|invoke_|_?_?syscall)/, "Emscripten for JavaScript hosts; use wasi-libc"],
  [/^env\./, "functions that the linker left open"],
];

/**
 * Why a module cannot run here whatever is provided, in words for the pod's status: it wants
 * threads or WASIX. `undefined` when it wants neither, or is no core module.
 */
export function threadsOrWasix(bytes: Uint8Array): string | undefined {
  if (!isCoreModule(bytes)) return undefined;
  const imports = importsOf(bytes);
  const wasix = imports.filter(({ module }) => module.startsWith("wasix_"));
  if (wasix.length > 0) {
    return (
      `the module was built for WASIX, Wasmer's extension of WASI, which is not provided: ` +
      `it imports ${listOf(wasix)}. Build it for plain WASI preview 1 (wasm32-wasip1), ` +
      `or as a WASI 0.2 component when it has to open connections itself`
    );
  }
  const threads = imports.filter(
    ({ module, name, shared }) => shared || (module === "wasi" && name.startsWith("thread")),
  );
  if (threads.length === 0 && !hasSharedMemory(bytes)) return undefined;
  const how = threads.length > 0 ? `it imports ${listOf(threads)}` : "it has shared memory";
  return (
    `the module was built for threads, which are not provided: ${how}. ` +
    `Build it without them (wasm32-wasip1 instead of wasm32-wasip1-threads, no -pthread), ` +
    `and run more replicas instead`
  );
}

/** Names imports that nobody provides, with what is known about such ones. */
export function notProvided(strangers: readonly Pick<ModuleImport, "module" | "name">[]): string {
  const names = strangers.map(({ module, name }) => `${module}.${name}`);
  const hint = HINTS.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1];
  return `the module imports what is not provided: ${listOf(strangers)}${hint ? ` (${hint})` : ""}`;
}

function listOf(imports: readonly Pick<ModuleImport, "module" | "name">[]): string {
  const named = imports
    .slice(0, MAX_NAMED_IMPORTS)
    .map(({ module, name }) => `${printable(module)}.${printable(name)}`);
  const more = imports.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

const MAX_NAME_LENGTH = 100;

/** A name as a status may show it: one line, and not endless. */
export function printable(name: string): string {
  const clean = name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
  return clean.length > MAX_NAME_LENGTH ? `${clean.slice(0, MAX_NAME_LENGTH)}…` : clean;
}
