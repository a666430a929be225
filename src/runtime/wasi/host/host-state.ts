import type { DescriptorTable } from "./descriptor-table.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { HostClock } from "./host-clock.ts";
import type { Wakeup } from "./wakeup.ts";

/** What the functions of the import object share. */
export interface HostState {
  readonly memory: GuestMemory;
  readonly descriptors: DescriptorTable;
  readonly clock: HostClock;
  readonly wakeup: Wakeup;
  readonly args: readonly Uint8Array[];
  readonly env: readonly Uint8Array[];
}

/**
 * One function of the import object. It answers an error number (0 is success), or throws what
 * `errnoOf` understands. Numbers arrive as the engine gives them: 32 bits signed, 64 bits BigInt.
 */
export type HostFunction<Args extends readonly (number | bigint)[]> = (...args: Args) => number;

/** A function that may have to wait: then it answers a promise, and the guest is suspended. */
export type WaitingFunction<Args extends readonly (number | bigint)[]> = (
  ...args: Args
) => number | Promise<number>;
