import { StoreError } from "../mvcc/index.ts";
import type { StoreMode } from "./store.ts";

/**
 * How far a member takes part.
 * - full: its disk has no space; it reads, and waits for some.
 * - removed: the group goes on without it. failed: what is on its medium is unknown.
 */
export type DriverMode =
  | { readonly type: "open" }
  | { readonly type: "full"; readonly error: Error }
  | { readonly type: "closed" }
  | { readonly type: "removed" }
  | { readonly type: "failed"; readonly error: Error };

export function storeMode(mode: DriverMode): StoreMode {
  switch (mode.type) {
    case "open":
      return "read-write";
    case "full":
    case "failed":
      return "read-only";
    case "removed":
    case "closed":
      return "closed";
  }
}

/** Why nobody may write in this mode, or read the latest state where others have it. */
export function modeRefusal(
  mode: DriverMode,
  wish: "read" | "write" = "write",
): StoreError | undefined {
  switch (mode.type) {
    case "closed":
    case "removed":
      return closedError();
    case "failed": {
      const why = `the store cannot write any more: ${mode.error.message}`;
      return new StoreError("read-only", why);
    }
    case "full":
      // It takes no entries: waiting for the newest ones would only end in less clear words.
      if (wish === "read") {
        return new StoreError("unavailable", `this server cannot keep up: ${mode.error.message}`);
      }
      return new StoreError("read-only", `the store cannot write now: ${mode.error.message}`);
    case "open":
      return undefined;
  }
}

export function closedError(): StoreError {
  return new StoreError("closed", "the store is closed");
}

/** Of a write that is on its way: it may have come through. */
export function fateUnknownError(why: string): StoreError {
  return new StoreError("unavailable", `whether this was written is unknown: ${why}`);
}

export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
