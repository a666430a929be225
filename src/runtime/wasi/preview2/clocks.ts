import type { InstanceContext, Interfaces } from "./instance-context.ts";
import { GuestTrap } from "./io/guest-error.ts";
import { Pollable, timerSource } from "./io/pollable.ts";

const SECOND_NS = 1_000_000_000n;
const MAX_INSTANT = 2n ** 64n - 1n;

/** `datetime` of wasi:clocks/wall-clock. */
export interface Datetime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** Time since the Unix epoch; what is before it becomes the epoch. */
export function datetimeOf(nanoseconds: bigint): Datetime {
  const time = nanoseconds < 0n ? 0n : nanoseconds;
  return { seconds: time / SECOND_NS, nanoseconds: Number(time % SECOND_NS) };
}

/** Nanoseconds since the Unix epoch. Throws GuestTrap for nanoseconds of more than a second. */
export function nanosecondsOf({ seconds, nanoseconds }: Datetime): bigint {
  if (nanoseconds >= 1_000_000_000) throw new GuestTrap(`${nanoseconds} nanoseconds in a datetime`);
  return seconds * SECOND_NS + BigInt(nanoseconds);
}

/** The interfaces of wasi:clocks. */
export function clockInterfaces({ scope }: InstanceContext): Interfaces {
  const { clock } = scope;
  const timer = (deadlineNs: bigint) => new Pollable(scope, timerSource(scope, deadlineNs));
  return {
    "wasi:clocks/monotonic-clock": {
      now: () => clock.monotonicNs(),
      resolution: () => 1n,
      subscribeInstant: (when: bigint) => timer(when),
      subscribeDuration: (duration: bigint) => {
        const deadlineNs = clock.monotonicNs() + duration;
        return timer(deadlineNs > MAX_INSTANT ? MAX_INSTANT : deadlineNs);
      },
    },
    "wasi:clocks/wall-clock": {
      now: () => datetimeOf(clock.realtimeNs()),
      resolution: () => ({ seconds: 0n, nanoseconds: 1 }),
    },
    // A container's time zone is UTC.
    "wasi:clocks/timezone": {
      display: () => ({ utcOffset: 0, name: "UTC", inDaylightSavingTime: false }),
      utcOffset: () => 0,
    },
  };
}
