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
