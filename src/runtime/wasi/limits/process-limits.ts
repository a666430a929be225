import type { CpuThrottling, QosClass } from "../../runtime.ts";
import type { ProcessIdentity } from "../../process-spawner.ts";

/**
 * What a worker process needs beside its guest's linear memory: the engine with the code it
 * generates, what sockets and bodies hold, the stack. The kernel ends a worker only beyond the
 * container's limit and this: the limit itself is kept by the memory section of the module.
 */
export const WORKER_OVERHEAD_BYTES = 256 * 1024 * 1024;

/** Threads of one worker. Guests cannot start any; the engine has a few for each processor. */
export const MAX_WORKER_THREADS = 1024;

/** What one process, or a group of processes, may use. Absent: as much as there is. */
export interface ProcessResources {
  readonly cpuRequestMillis?: number;
  readonly cpuLimitMillis?: number;
  /** All memory of the process, {@link WORKER_OVERHEAD_BYTES} included; Infinity: any amount. */
  readonly memoryBytes?: number;
}

/**
 * A process with limits of its own: a container's worker, or one worker with several guests, whose
 * resources are then {@link sumResources} of theirs.
 */
export interface ProcessGroup {
  readonly qosClass: QosClass;
  readonly podUid: string;
  /** Unique in the pod: the id of the container, or of the worker that is shared. */
  readonly name: string;
  readonly resources: ProcessResources;
  /** What all containers of the pod ask for: its share among the pods of the node. */
  readonly podCpuRequestMillis: number;
}

/** Keeps processes within their limits. No method throws: what fails is logged. */
export interface ProcessLimits {
  /** How limits are kept, for people. */
  readonly kind: "cgroup v1" | "cgroup v2" | "signals";
  /** Limits a running process; again for a group whose resources changed. */
  place(process: ProcessIdentity, group: ProcessGroup): Promise<void>;
  /** Knows a group again that a former server placed. */
  adopt(process: ProcessIdentity, group: ProcessGroup): void;
  /** Whether the kernel ended a process of the group for want of memory. */
  ranOutOfMemory(group: ProcessGroup): boolean;
  throttling(group: ProcessGroup): CpuThrottling | undefined;
  /** The group's processes are gone. */
  remove(group: ProcessGroup): Promise<void>;
  /** Removes what a former server left and nobody adopted. */
  sweep(): Promise<void>;
  close(): void;
}

/** Limits of nothing: for tests that are about something else. */
export const noLimits: ProcessLimits = {
  kind: "signals",
  place: () => Promise.resolve(),
  adopt: () => undefined,
  ranOutOfMemory: () => false,
  throttling: () => undefined,
  remove: () => Promise.resolve(),
  sweep: () => Promise.resolve(),
  close: () => undefined,
};

/** Of a process with several guests: an amount without a bound in one has none in all. */
export function sumResources(all: readonly ProcessResources[]): ProcessResources {
  const sum = (amounts: readonly (number | undefined)[]): number | undefined =>
    amounts.reduce((a, b) => (a === undefined || b === undefined ? undefined : a + b), 0);
  const cpuRequestMillis = all.reduce((total, one) => total + (one.cpuRequestMillis ?? 0), 0);
  const cpuLimitMillis = sum(all.map((one) => one.cpuLimitMillis));
  const guests = sum(all.map((one) => guestBytes(one.memoryBytes)));
  return {
    cpuRequestMillis,
    ...(cpuLimitMillis === undefined ? {} : { cpuLimitMillis }),
    ...(guests === undefined ? {} : { memoryBytes: guests + WORKER_OVERHEAD_BYTES }),
  };
}

/** The worker's own memory is there once, however many guests it has. */
function guestBytes(memoryBytes: number | undefined): number | undefined {
  return memoryBytes === undefined ? undefined : memoryBytes - WORKER_OVERHEAD_BYTES;
}
