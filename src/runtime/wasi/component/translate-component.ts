import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ComponentInterfaces } from "./component-binary.ts";
import {
  type ComponentManifest,
  MANIFEST_FILE,
  TRANSLATION_VERSION,
  type TranslatedFile,
} from "./component-manifest.ts";
import { componentEntry, interfacesOf, suspendingFunctions } from "./component-support.ts";
import { CREATED_REPS, leanCode } from "./lean-code.ts";
import { trackGrowth } from "../worker/track-growth.ts";

/** The functions of exported interfaces that may wait in the middle. */
const ENTERED: Readonly<Record<ComponentManifest["kind"], string>> = {
  http: "handle",
  command: "run",
};
const CODE = "component.js";

/**
 * Translates a component into JavaScript and core modules in `directory`, which must not exist.
 * Runs in a process of its own: the translator takes 100 MB and more for a large component.
 */
export async function translateComponent(bytes: Uint8Array, directory: string): Promise<void> {
  const interfaces = interfacesOf(bytes);
  const entry = componentEntry(interfaces);
  const { files, importKeys } = await generate(
    bytes,
    interfaces,
    `${entry.name}#${ENTERED[entry.kind]}`,
  );
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const written = Object.entries(files).map(([name, content]): TranslatedFile => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    const sha256 = createHash("sha256").update(content).digest("hex");
    return { name, sizeBytes: content.length, sha256 };
  });
  const code = written.find(({ name }) => name === CODE);
  if (code === undefined) throw new Error("the translator made no code");
  const manifest: ComponentManifest = {
    version: TRANSLATION_VERSION,
    kind: entry.kind,
    ...interfaces,
    entry: entry.name,
    importKeys,
    code,
    modules: written.filter(({ name }) => name.endsWith(".wasm")),
  };
  writeFileSync(join(directory, MANIFEST_FILE), JSON.stringify(manifest), { mode: 0o600 });
}

async function generate(
  bytes: Uint8Array,
  interfaces: ComponentInterfaces,
  entered: string,
): Promise<{ files: Readonly<Record<string, Uint8Array>>; importKeys: readonly string[] }> {
  const { transpileBytes } = await import("@bytecodealliance/jco-transpile");
  const suspending = suspendingFunctions(interfaces.imports);
  const { files, imports } = await transpileBytes(bytes, {
    name: "component",
    instantiation: "async",
    asyncMode: "jspi",
    asyncImports: suspending,
    asyncExports: [entered],
    emitTypescriptDeclarations: false,
    nodejsCompat: false,
    tracing: false,
  });
  const finished = Object.entries(files).map(([name, content]) => [
    name,
    name === CODE ? finishedCode(content, suspending) : checkedModule(name, content),
  ]);
  return { files: Object.fromEntries(finished), importKeys: imports };
}

/** The code as workers load it: only what calls need, without its indentation. */
function finishedCode(generated: Uint8Array, suspending: readonly string[]): Uint8Array {
  const code = new TextDecoder().decode(generated);
  const lean = leanCode(code, new Set(suspending)) ?? code.replace(CREATED_REPS, "");
  const transpiler = new Bun.Transpiler({ loader: "js", minifyWhitespace: true, target: "bun" });
  return new TextEncoder().encode(transpiler.transformSync(lean));
}

/**
 * A module that the engine would refuse is refused here, once, and not in every worker; that it
 * remembers refused growth is written into it here too.
 */
function checkedModule(name: string, bytes: Uint8Array): Uint8Array {
  if (!WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)) {
    throw new Error(`core module ${name} of the component is not valid`);
  }
  const tracked = trackGrowth(bytes);
  const valid = tracked && WebAssembly.validate(tracked as Uint8Array<ArrayBuffer>);
  return tracked !== undefined && valid ? tracked : bytes;
}
