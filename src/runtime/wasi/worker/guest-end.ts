import { ProcExit } from "../host/errno.ts";
import { EXIT_OUT_OF_MEMORY, EXIT_TRAP } from "../worker-protocol.ts";
import type { GuestEnd } from "./guest.ts";
import { PAGE_BYTES } from "./limit-memory.ts";
import { REFUSED_GROWTH } from "./track-growth.ts";

/** What is known when a guest ended by throwing. */
export interface EndCircumstances {
  readonly memoryBytes: number;
  readonly maximumPages: number | undefined;
  /** A memory.grow was refused; `undefined` when that was not tracked. */
  readonly refusedGrowth: boolean | undefined;
}

/**
 * Memory left below the limit at which a failing guest is taken to have run out, when it is not
 * known whether a growth was refused.
 */
export const EXHAUSTED_SHARE = 1 / 8;

/** Tells from what came out of the guest's stack how it ended; ProcExit 0 is success. */
export function guestEnd(thrown: unknown, circumstances: EndCircumstances): GuestEnd {
  const exit = thrown instanceof ProcExit;
  const exitCode = exit ? thrown.code & 0xff : EXIT_TRAP;
  if (exit && thrown.code === 0) return { exitCode: 0, reason: "Completed", message: "" };
  if (isExhausted(circumstances)) {
    const { maximumPages } = circumstances;
    const limit = maximumPages === undefined ? "4 GiB" : `${maximumPages * PAGE_BYTES} bytes`;
    const message = `the guest failed after it was refused memory beyond its ${limit}`;
    return { exitCode: EXIT_OUT_OF_MEMORY, reason: "OOMKilled", message };
  }
  return { exitCode, reason: "Error", message: exit ? "" : trapMessage(thrown) };
}

/** The trap with the guest's frames, innermost first; for the log. */
export function backtrace(thrown: unknown): string {
  const frames = thrown instanceof Error ? guestFrames(thrown) : [];
  return [trapMessage(thrown), ...frames.map((frame) => `    at ${frame}`)].join("\n");
}

/** Frames a backtrace shows; the engine records no more than it is told when the trap happens. */
export const MAX_FRAMES = 64;

/** Has the engine record deep stacks; call once, before a guest runs. */
export function recordDeepStacks(): void {
  Error.stackTraceLimit = MAX_FRAMES;
}

/**
 * The names of the guest's functions on the stack. Bun's text for a stack hides them ("unknown"),
 * but a formatter is told; it must be in place when the stack is read for the first time.
 */
function guestFrames(error: Error): string[] {
  const before = Error.prepareStackTrace;
  let frames: string[] = [];
  Error.prepareStackTrace = (_error, sites) => {
    frames = sites
      .filter((site) => site.getFileName() === "[wasm code]")
      .map((site) => String(site.getFunctionName()).replace(/^.*wasm-function\[(.*)\]$/, "$1"));
    return "";
  };
  try {
    if (typeof error.stack !== "string") return [];
    return frames.map((name) => (/^\d+$/.test(name) ? `function ${name}` : name));
  } finally {
    Error.prepareStackTrace = before;
  }
}

function isExhausted(circumstances: EndCircumstances): boolean {
  const { memoryBytes, maximumPages, refusedGrowth } = circumstances;
  if (refusedGrowth !== undefined) return refusedGrowth;
  if (maximumPages === undefined) return false;
  const maximumBytes = maximumPages * PAGE_BYTES;
  return memoryBytes > 0 && memoryBytes >= maximumBytes * (1 - EXHAUSTED_SHARE);
}

function trapMessage(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return `wasm trap: ${text.replace(/\s*\(evaluating.*$/s, "")}`;
}

/** Reads the global that {@link trackGrowth} added; `undefined` when the module has none. */
export function refusedGrowth(instance: WebAssembly.Instance | undefined): boolean | undefined {
  const tracked = instance?.exports[REFUSED_GROWTH];
  return tracked instanceof WebAssembly.Global ? tracked.value === 1 : undefined;
}
