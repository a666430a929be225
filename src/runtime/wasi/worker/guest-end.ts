import { ProcExit } from "../host/errno.ts";
import { EXIT_OUT_OF_MEMORY, EXIT_TRAP } from "../worker-protocol.ts";
import type { GuestEnd } from "./guest.ts";
import { PAGE_BYTES } from "./limit-memory.ts";
import { rustSymbol } from "./rust-symbol.ts";
import { REFUSED_GROWTH } from "./track-growth.ts";
import { printable } from "./unwelcome-imports.ts";

/** What is known when a guest ended by throwing. */
export interface EndCircumstances {
  readonly memoryBytes: number;
  readonly maximumPages: number | undefined;
  /** A memory.grow was refused; `undefined` when that was not tracked. */
  readonly refusedGrowth: boolean | undefined;
  readonly offsetOf?: OffsetOf;
}

/** The offset in the module of a function that has no name, for a backtrace. */
export type OffsetOf = (functionIndex: number) => number | undefined;

/** What Kubernetes takes of a terminated container's message. */
export const MAX_MESSAGE_BYTES = 4096;

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
  const message = exit ? "" : bounded(backtrace(thrown, circumstances.offsetOf));
  return { exitCode, reason: "Error", message };
}

/**
 * The trap with the guest's frames, innermost first; for the log. A function without a name is
 * told by its index and, when `offsetOf` knows it, by where in the module it is.
 */
export function backtrace(thrown: unknown, offsetOf?: OffsetOf): string {
  const names = thrown instanceof Error ? guestFrames(thrown) : [];
  const frames = names.map((name) => frameText(name, offsetOf));
  return [trapMessage(thrown), ...withoutRepeats(frames)].join("\n");
}

function frameText(name: string, offsetOf: OffsetOf | undefined): string {
  if (!/^\d+$/.test(name)) return printable(rustSymbol(name));
  const offset = offsetOf?.(Number(name));
  const place = offset === undefined ? "" : ` (module offset 0x${offset.toString(16)})`;
  return `function ${name}${place}`;
}

/** A recursion takes one line. */
function withoutRepeats(frames: readonly string[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < frames.length;) {
    const frame = frames[index];
    let end = index + 1;
    while (end < frames.length && frames[end] === frame) end++;
    const times = end - index;
    lines.push(`    at ${frame}${times > 1 ? ` (${times} times)` : ""}`);
    index = end;
  }
  return lines;
}

/** Whole lines of the text, so many as fit. */
function bounded(text: string): string {
  if (Buffer.byteLength(text) <= MAX_MESSAGE_BYTES) return text;
  const more = "    …";
  const kept: string[] = [];
  let left = MAX_MESSAGE_BYTES - Buffer.byteLength(more);
  for (const line of text.split("\n")) {
    left -= Buffer.byteLength(line) + 1;
    if (left < 0) break;
    kept.push(line);
  }
  return [...kept, more].join("\n");
}

/** Frames a backtrace shows; the engine records no more than it is told when the trap happens. */
export const MAX_FRAMES = 64;

/** Has the engine record deep stacks; call once, before a guest runs. */
export function recordDeepStacks(): void {
  Error.stackTraceLimit = MAX_FRAMES;
}

const FRAMES_BEGIN = "guest frames:";
/** A name section can hold names of any length. */
const MAX_SYMBOL_LENGTH = 1000;

/**
 * The names of the guest's functions on the stack. Bun's text for a stack hides them ("unknown"),
 * but a formatter is told; it must be in place when the stack is read for the first time. What it
 * makes is the stack from then on, so that it can be asked for again.
 */
function guestFrames(error: Error): string[] {
  const before = Error.prepareStackTrace;
  Error.prepareStackTrace = (_error, sites) => {
    const frames = sites
      .filter((site) => site.getFileName() === "[wasm code]")
      .map((site) => String(site.getFunctionName()).slice(-MAX_SYMBOL_LENGTH))
      .map((name) => name.replace(/^[^]*wasm-function\[([^]*)\]$/, "$1").replaceAll("\n", " "));
    return [FRAMES_BEGIN, ...frames].join("\n");
  };
  try {
    const [begin, ...frames] = typeof error.stack === "string" ? error.stack.split("\n") : [];
    return begin === FRAMES_BEGIN ? frames : [];
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
  return `wasm trap: ${text.replace(/\s*\(evaluating.*$/s, "")}`.slice(0, MAX_SYMBOL_LENGTH);
}

/** Reads the global that {@link trackGrowth} added; `undefined` when the module has none. */
export function refusedGrowth(instance: WebAssembly.Instance | undefined): boolean | undefined {
  const tracked = instance?.exports[REFUSED_GROWTH];
  return tracked instanceof WebAssembly.Global ? tracked.value === 1 : undefined;
}
