import { RuntimeError } from "../../runtime.ts";
import { PROVIDED_INTERFACES } from "../preview2/provided-interfaces.ts";
import { type ComponentInterfaces, withoutVersion } from "./component-binary.ts";
import type { ComponentKind } from "./component-manifest.ts";

export interface ComponentEntry {
  readonly kind: ComponentKind;
  /** The export with its version. */
  readonly name: string;
}

const ENTRIES: readonly (readonly [name: string, kind: ComponentKind])[] = [
  ["wasi:http/incoming-handler", "http"],
  ["wasi:cli/run", "command"],
];
/** Whose interfaces people bring along, and what to tell them. */
const KNOWN_STRANGERS: readonly (readonly [prefix: string, words: string])[] = [
  ["fermyon:spin/", "Spin's own interfaces, which only Spin has"],
  ["spin:", "Spin's own interfaces, which only Spin has"],
  ["wasmcloud:", "wasmCloud's own interfaces, which only wasmCloud has"],
  ["wrpc:", "wasmCloud's own interfaces, which only wasmCloud has"],
  ["wasi:nn/", "wasi:nn, inference, which this runtime does not have"],
  ["wasi:sqlite/", "wasi:sqlite, which this runtime does not have yet"],
  ["wasi:blobstore/", "wasi:blobstore, which this runtime does not have yet"],
  ["wasi:messaging/", "wasi:messaging, which this runtime does not have"],
];
const WASI_0_3 = /^wasi:.*@0\.3\./;

/**
 * How to run a component that has these interfaces. Throws `image-unsupported` that names every
 * import nobody provides, or says that there is nothing to enter.
 */
export function componentEntry(interfaces: ComponentInterfaces): ComponentEntry {
  const missing = interfaces.imports.filter((name) => !isProvided(name));
  if (missing.length > 0) {
    throw unsupported(`imports interfaces that nobody provides: ${withReasons(missing)}`);
  }
  for (const [wanted, kind] of ENTRIES) {
    const name = interfaces.exports.find(
      (found) => withoutVersion(found) === wanted && !WASI_0_3.test(found),
    );
    if (name !== undefined) return { kind, name };
  }
  const wanted = ENTRIES.map(([name]) => name).join(" or ");
  const found = interfaces.exports.join(", ") || "nothing";
  throw unsupported(`exports ${found}: want ${wanted}, version 0.2`);
}

/** Functions of these imports that may suspend the guest, as the translator names them. */
export function suspendingFunctions(imports: readonly string[]): string[] {
  return imports.flatMap((name) =>
    (PROVIDED_INTERFACES[withoutVersion(name)]?.suspending ?? []).map(
      (called) => `${name}#${called}`,
    ),
  );
}

function isProvided(name: string): boolean {
  return !WASI_0_3.test(name) && Object.hasOwn(PROVIDED_INTERFACES, withoutVersion(name));
}

function withReasons(missing: readonly string[]): string {
  const reasons = KNOWN_STRANGERS.flatMap(([prefix, words]) =>
    missing.some((name) => name.startsWith(prefix)) ? [words] : [],
  );
  if (missing.some((name) => WASI_0_3.test(name))) {
    reasons.push("WASI 0.3; build the component for WASI 0.2");
  }
  const known = [...new Set(reasons)];
  return `${missing.join(", ")}${known.length > 0 ? ` (${known.join("; ")})` : ""}`;
}

function unsupported(why: string): RuntimeError {
  return new RuntimeError("image-unsupported", `the component ${why}`);
}
