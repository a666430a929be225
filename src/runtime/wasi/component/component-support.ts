import {
  interfaceRefusal,
  isThirdPreview,
  PROVIDED_INTERFACES,
  THIRD_PREVIEW,
  UNKNOWN_INTERFACE,
  withoutVersion,
} from "../../../lib/index.ts";
import { RuntimeError } from "../../runtime.ts";
import { ModuleRefused } from "../worker/wasm-binary.ts";
import { type ComponentInterfaces, componentInterfaces } from "./component-binary.ts";
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
/** What a component imports and exports. Throws `image-damaged` for one that was cut short. */
export function interfacesOf(bytes: Uint8Array): ComponentInterfaces {
  try {
    return componentInterfaces(bytes);
  } catch (error) {
    if (!(error instanceof ModuleRefused)) throw error;
    const why = `the component is damaged (${error.message})`;
    throw new RuntimeError("image-damaged", why, { cause: error });
  }
}

/**
 * How to run a component that has these interfaces. Throws `image-unsupported` that names every
 * import nobody provides, or says that there is nothing to enter.
 */
export function componentEntry(interfaces: ComponentInterfaces): ComponentEntry {
  const missing = interfaces.imports.filter((name) => interfaceRefusal(name) !== undefined);
  if (missing.length > 0) {
    throw unsupported(`imports interfaces that nobody provides: ${withReasons(missing)}`);
  }
  for (const [wanted, kind] of ENTRIES) {
    const name = interfaces.exports.find(
      (found) => withoutVersion(found) === wanted && !isThirdPreview(found),
    );
    if (name !== undefined) return { kind, name };
  }
  const wanted = ENTRIES.map(([name]) => name).join(" or ");
  const { exports } = interfaces;
  // A file that was cut short between two sections is a component still.
  const found = exports.length > 0 ? exports.join(", ") : "nothing, as if it were cut short";
  const third = exports.some(isThirdPreview) ? ` (${THIRD_PREVIEW})` : "";
  throw unsupported(`exports ${found}: want ${wanted}, version 0.2${third}`);
}

/** Functions of these imports that may suspend the guest, as the translator names them. */
export function suspendingFunctions(imports: readonly string[]): string[] {
  return imports.flatMap((name) =>
    (PROVIDED_INTERFACES[withoutVersion(name)]?.suspending ?? []).map(
      (called) => `${name}#${called}`,
    ),
  );
}

/** What is missing, and what is known about it beyond that. */
function withReasons(missing: readonly string[]): string {
  const reasons = missing.flatMap((name) => interfaceRefusal(name) ?? []);
  const known = new Set(reasons.filter((reason) => reason !== UNKNOWN_INTERFACE));
  return `${missing.join(", ")}${known.size > 0 ? ` (${[...known].join("; ")})` : ""}`;
}

function unsupported(why: string): RuntimeError {
  return new RuntimeError("image-unsupported", `the component ${why}`);
}
