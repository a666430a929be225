import type { CancelTimer, Clock } from "../../../lib/index.ts";
import type { ProcessIdentity, ProcessSpawner } from "../../process-spawner.ts";
import type { CpuThrottling } from "../../runtime.ts";
import type { ProcessGroup, ProcessLimits } from "./process-limits.ts";
import type { ProcessorReadings } from "./processor-readings.ts";
import type { TimeSlices } from "./time-slices.ts";

export const LOOK_INTERVAL_MS = 500;
/** So many are looked at in one turn, those that compute besides. */
export const MAX_LOOKS = 64;
/** Of one processor: below this nobody on the machine can be in another's way. */
const QUIET_SHARE = 0.4;
/** The part of the time in which a guest ran or wanted to: one that waits for requests is below. */
const COMPUTING_SHARE = 0.9;
const WAITING_SHARE = 0.7;

interface Watched {
  readonly identity: ProcessIdentity;
  /** When it was looked at last, and how long it had wanted to run until then; undefined: never. */
  last: { readonly atMs: number; readonly wantedMs: number } | undefined;
  computes: boolean;
}

export interface ConsiderateLimitsOptions {
  readonly limits: ProcessLimits;
  readonly slices: TimeSlices;
  readonly readings: ProcessorReadings;
  readonly spawner: Pick<ProcessSpawner, "isAlive">;
  readonly clock: Clock;
  /** The server, which has the node's traffic pass through it. */
  readonly ownPid: number;
}

/**
 * Limits, and who goes first. A guest that computes without end gets no less of a processor for it,
 * but long slices: whoever wakes beside it need not wait until its turn is over, for which the
 * kernel takes up to a tick (4 ms). A guest counts as computing when it always runs or wants to, so
 * that a busy server, which waits for its sockets now and then, does not.
 */
export class ConsiderateLimits implements ProcessLimits {
  readonly kind: ProcessLimits["kind"];
  readonly #options: ConsiderateLimitsOptions;
  /** In the order in which they are looked at. */
  readonly #watched = new Map<string, Watched>();
  #cancel: CancelTimer | undefined;
  #machine: { readonly atMs: number; readonly busyMs: number } | undefined;

  constructor(options: ConsiderateLimitsOptions) {
    this.#options = options;
    this.kind = options.limits.kind;
    options.slices.set(options.ownPid, "short");
  }

  place(process: ProcessIdentity, group: ProcessGroup): Promise<void> {
    this.#watch(process, group);
    return this.#options.limits.place(process, group);
  }

  adopt(process: ProcessIdentity, group: ProcessGroup): void {
    this.#watch(process, group);
    this.#options.limits.adopt(process, group);
  }

  ranOutOfMemory(group: ProcessGroup): boolean {
    return this.#options.limits.ranOutOfMemory(group);
  }

  throttling(group: ProcessGroup): CpuThrottling | undefined {
    return this.#options.limits.throttling(group);
  }

  remove(group: ProcessGroup): Promise<void> {
    this.#watched.delete(keyOf(group));
    return this.#options.limits.remove(group);
  }

  sweep(): Promise<void> {
    return this.#options.limits.sweep();
  }

  close(): void {
    this.#cancel?.();
    this.#watched.clear();
    this.#options.limits.close();
  }

  #watch(identity: ProcessIdentity, group: ProcessGroup): void {
    const key = keyOf(group);
    // A process that is shared is placed again with each of its guests.
    if (this.#watched.get(key)?.identity.pid === identity.pid) return;
    this.#watched.set(key, { identity, last: undefined, computes: false });
    if (this.#watched.size === 1) this.#wait();
  }

  #wait(): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(LOOK_INTERVAL_MS, () => {
      this.#look();
      if (this.#watched.size > 0) this.#wait();
    });
  }

  #look(): void {
    const isQuiet = this.#isQuiet();
    let looks = 0;
    // A copy, because who was looked at goes to the end.
    const inOrder = Array.from(this.#watched);
    for (const [key, watched] of inOrder) {
      if (!watched.computes && (isQuiet || looks++ >= MAX_LOOKS)) continue;
      // The next turn begins with others.
      this.#watched.delete(key);
      if (this.#judge(watched)) this.#watched.set(key, watched);
    }
  }

  /** One reading for all: while the machine has little to do, no guest computes without end. */
  #isQuiet(): boolean {
    const atMs = this.#options.clock.monotonic();
    const busyMs = this.#options.readings.machineBusyMs();
    const last = this.#machine;
    this.#machine = { atMs, busyMs };
    return last !== undefined && busyMs - last.busyMs < (atMs - last.atMs) * QUIET_SHARE;
  }

  /** False: the process is gone. */
  #judge(watched: Watched): boolean {
    const { clock, readings, slices, spawner } = this.#options;
    const { identity, last, computes } = watched;
    const wantedMs = readings.wantedMs(identity.pid);
    if (wantedMs === undefined) return false;
    const atMs = clock.monotonic();
    watched.last = { atMs, wantedMs };
    if (last === undefined) return true;
    const share = (wantedMs - last.wantedMs) / (atMs - last.atMs);
    watched.computes = share > (computes ? WAITING_SHARE : COMPUTING_SHARE);
    if (watched.computes === computes) return true;
    if (!spawner.isAlive(identity)) return false;
    slices.set(identity.pid, watched.computes ? "long" : "usual");
    return true;
  }
}

function keyOf({ podUid, name }: ProcessGroup): string {
  return `${podUid}/${name}`;
}
