import {
  interfaceRefusal,
  type InterfaceGrant,
  isThirdPreview,
  PROVIDED_INTERFACES,
  THIRD_PREVIEW,
  withoutVersion,
} from "../lib/index.ts";
import { PREVIEW_ONE_FUNCTIONS, PREVIEW_ONE_MODULE } from "./preview-one.ts";
import type { WasmInspection } from "./wasm-inspection.ts";

/** What somebody should know of an import before a pod has it. */
export interface ImportAdvice {
  /** `refused`: no pod starts with it. `needs-grant`: calls fail until a pod is granted it. */
  readonly verdict: "refused" | "needs-grant";
  /** Names as in {@link WasmInspection.imports} or exports; those of one reason are together. */
  readonly names: readonly string[];
  readonly why: string;
  /** The pod's annotation that grants it, and an example of its value. */
  readonly grant?: InterfaceGrant;
}

/** Modules that core modules import from, besides preview 1. */
const STRANGE_MODULES: readonly (readonly [prefix: string, why: string])[] = [
  ["wasi.thread", "threads: build without them"],
  ["wasix_", "WASIX: build for plain WASI preview 1"],
  ["wasi_unstable.", "an early draft of WASI: build for wasi_snapshot_preview1"],
  ["wasi_ephemeral_nn.", "no machine learning is provided"],
  ["wasi:", "a module that has still to become a component: wasm-tools component new"],
  ["cm32p2|", "a module that has still to become a component: wasm-tools component new"],
  ["fermyon:", "a module for Spin, which makes a component of it: wasm-tools component new"],
  ["spin", "a module for Spin's first version"],
  ["__wbindgen", "a module for browsers (wasm-bindgen): build for wasm32-wasip1"],
  ["env.", "functions the linker left open, or a build for Emscripten"],
];

const HANDLER = "wasi:http/incoming-handler";
const COMMAND = "wasi:cli/run";

/**
 * What the cluster will refuse of a binary, and what it grants only by an annotation of the pod.
 * Refusals first.
 */
export function importAdvice(wasm: WasmInspection): readonly ImportAdvice[] {
  return wasm.kind === "component" ? componentAdvice(wasm) : moduleAdvice(wasm);
}

function componentAdvice(wasm: WasmInspection): ImportAdvice[] {
  const refused = grouped(wasm.imports, interfaceRefusal);
  const runs = wasm.exports.map(withoutVersion);
  if (!runs.includes(HANDLER) && !runs.includes(COMMAND)) {
    const cut = wasm.exports.length === 0 ? "; a file that was cut short looks like this" : "";
    const why = `it exports neither ${HANDLER} nor ${COMMAND}, which pods are run by${cut}`;
    refused.push({ verdict: "refused", names: wasm.exports, why });
  } else if (!wasm.exports.some((name) => isRunnable(name))) {
    const why = THIRD_PREVIEW;
    refused.push({ verdict: "refused", names: wasm.exports, why });
  }
  const grants = wasm.imports.flatMap((name): ImportAdvice[] => {
    const grant = PROVIDED_INTERFACES[withoutVersion(name)]?.grant;
    if (grant === undefined || interfaceRefusal(name) !== undefined) return [];
    const why = "denied until the pod is granted it";
    return [{ verdict: "needs-grant", names: [name], why, grant }];
  });
  return [...refused, ...grants];
}

function isRunnable(name: string): boolean {
  return [HANDLER, COMMAND].includes(withoutVersion(name)) && !isThirdPreview(name);
}

function moduleAdvice(wasm: WasmInspection): ImportAdvice[] {
  const advice = grouped(wasm.imports, (name) => moduleRefusal(name, wasm));
  if (!wasm.exports.includes("_start")) {
    const why = "it exports no _start function: it is a library, no command";
    advice.push({ verdict: "refused", names: wasm.exports, why });
  }
  return advice;
}

function moduleRefusal(name: string, wasm: WasmInspection): string | undefined {
  const prefix = `${PREVIEW_ONE_MODULE}.`;
  if (name.startsWith(prefix)) {
    if (PREVIEW_ONE_FUNCTIONS.has(name.slice(prefix.length))) return undefined;
    return "no function of WASI preview 1 but another runtime's own";
  }
  if (wasm.sharedMemory && name.startsWith("env.")) return "threads: build without them";
  const known = STRANGE_MODULES.find(([start]) => name.startsWith(start));
  return known?.[1] ?? "a module nobody provides";
}

function grouped(
  names: readonly string[],
  reasonOf: (name: string) => string | undefined,
): ImportAdvice[] {
  const byReason = new Map<string, string[]>();
  for (const name of names) {
    const why = reasonOf(name);
    if (why !== undefined) byReason.set(why, [...(byReason.get(why) ?? []), name]);
  }
  return [...byReason].map(([why, found]) => ({ verdict: "refused", names: found, why }));
}
