import { GuestTrap } from "./guest-error.ts";
import type { InstanceScope } from "./instance-scope.ts";
import { Resource } from "./resource.ts";

/** Pollables in one call of poll. */
export const MAX_POLLED = 16_384;

/** Something that is ready or will be. */
export interface PollSource {
  ready(): boolean;
  /** Calls back when it may have become ready; the answer cancels it. */
  watch(callback: () => void): () => void;
}

/** The resource `pollable` of wasi:io/poll. */
export class Pollable extends Resource {
  readonly source: PollSource;

  constructor(scope: InstanceScope, source: PollSource, parent?: Resource) {
    super(scope, parent);
    this.source = source;
  }

  ready(): boolean {
    return this.source.ready();
  }

  block(): void | Promise<void> {
    return untilReady(this.scope, this.source);
  }
}

/** Waits until the source is ready; at once, without a promise, when it is. */
export function untilReady(scope: InstanceScope, source: PollSource): void | Promise<void> {
  if (source.ready()) return scope.mustTurn() ? scope.turn() : undefined;
  return waitFor(scope, source);
}

async function waitFor(scope: InstanceScope, source: PollSource): Promise<void> {
  do {
    await scope.wait((done) => source.watch(done));
  } while (!source.ready());
}

/** `poll`: the indices of those that are ready, at least one. */
export function pollFunction(
  scope: InstanceScope,
): (list: readonly Pollable[]) => Uint32Array | Promise<Uint32Array> {
  return (list) => {
    if (list.length === 0) throw new GuestTrap("poll was called with an empty list");
    if (list.length > MAX_POLLED) {
      throw new GuestTrap(`poll was called with ${list.length} pollables of ${MAX_POLLED}`);
    }
    const ready = readyIndices(list);
    if (ready.length > 0 && !scope.mustTurn()) return ready;
    return waitForAny(scope, list);
  };
}

async function waitForAny(scope: InstanceScope, list: readonly Pollable[]): Promise<Uint32Array> {
  // Ready already: it only has to let the event loop run.
  if (readyIndices(list).length > 0) await scope.turn();
  for (;;) {
    const ready = readyIndices(list);
    if (ready.length > 0) return ready;
    await scope.wait((done) => {
      const cancels = list.map(({ source }) => source.watch(done));
      return () => {
        for (const cancel of cancels) cancel();
      };
    });
  }
}

function readyIndices(list: readonly Pollable[]): Uint32Array {
  const ready: number[] = [];
  for (const [index, pollable] of list.entries()) if (pollable.ready()) ready.push(index);
  return Uint32Array.from(ready);
}

/** Ready from the start and for ever. */
export const alwaysReady: PollSource = {
  ready: () => true,
  watch: (callback) => {
    callback();
    return () => undefined;
  },
};

/** Ready at a time of the monotonic clock. */
export function timerSource(scope: InstanceScope, deadlineNs: bigint): PollSource {
  const { clock } = scope;
  return {
    ready: () => clock.monotonicNs() >= deadlineNs,
    watch: (callback) => {
      const leftNs = deadlineNs - clock.monotonicNs();
      return clock.after(Number(leftNs) / 1e6, callback);
    },
  };
}
