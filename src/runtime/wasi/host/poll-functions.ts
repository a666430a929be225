import { CLOCK_ABSTIME, CLOCK_ID, EVENT, EVENT_HANGUP, RIGHTS, SIZE } from "./abi.ts";
import { MAX_DESCRIPTORS } from "./descriptor-table.ts";
import { ERRNO, WasiError, type Errno } from "./errno.ts";
import type { HostState } from "./host-state.ts";
import type { WaitInterest } from "./wakeup.ts";

/** Subscriptions of one poll: each descriptor twice, and a clock. */
export const MAX_SUBSCRIPTIONS = 2 * MAX_DESCRIPTORS + 1;

interface Event {
  readonly userdata: bigint;
  readonly type: number;
  readonly error: Errno;
  readonly bytes: number;
  readonly flags: number;
}

interface Poll {
  readonly input: number;
  readonly count: number;
  readonly output: number;
  readonly result: number;
}

/** `poll_oneoff`: descriptors and clocks together. */
export function pollFunctions(state: HostState) {
  return {
    poll_oneoff(
      input: number,
      output: number,
      count: number,
      result: number,
    ): number | Promise<number> {
      if (count === 0 || count >>> 0 > MAX_SUBSCRIPTIONS) throw new WasiError(ERRNO.inval);
      state.memory.slice(output, count * SIZE.event);
      state.memory.slice(result, 4);
      return poll(state, { input, count, output, result });
    },
  };
}

function poll(state: HostState, request: Poll): number | Promise<number> {
  const scan = new Scan(state, request);
  if (scan.events.length > 0 && !state.wakeup.mustTurn()) return finish(state, request, scan);
  if (scan.events.length > 0 || scan.expired()) {
    // The event loop has its turn first; what became ready meanwhile counts.
    return state.wakeup.turn().then(() => finish(state, request, new Scan(state, request)));
  }
  return state.wakeup.wait(scan.interests, scan.timeoutMs()).then(() => {
    const after = new Scan(state, request);
    after.clocks = scan.clocks;
    // A timer may fire a little early: then the rest is waited for.
    if (after.events.length === 0 && !after.expired()) return rest(state, request, after);
    return finish(state, request, after);
  });
}

async function rest(state: HostState, request: Poll, scan: Scan): Promise<number> {
  let current = scan;
  while (current.events.length === 0 && !current.expired()) {
    await state.wakeup.wait(current.interests, current.timeoutMs());
    const next = new Scan(state, request);
    next.clocks = current.clocks;
    current = next;
  }
  return finish(state, request, current);
}

function finish(state: HostState, request: Poll, scan: Scan): number {
  const { memory } = state;
  const events = [...scan.events, ...scan.clockEvents()];
  memory.slice(request.output, events.length * SIZE.event).fill(0);
  for (const [index, event] of events.entries()) {
    const at = request.output + index * SIZE.event;
    memory.setUint64(at, event.userdata);
    memory.setUint16(at + 8, event.error);
    memory.setUint8(at + 10, event.type);
    memory.setSize64(at + 16, event.bytes);
    memory.setUint16(at + 24, event.flags);
  }
  memory.setUint32(request.result, events.length);
  return ERRNO.success;
}

interface ClockSubscription {
  readonly userdata: bigint;
  /** On the monotonic clock. */
  readonly deadlineNs: bigint;
}

/** One look at all subscriptions: what is ready, and what to wait for otherwise. */
class Scan {
  readonly events: Event[] = [];
  readonly interests: WaitInterest[] = [];
  /** Taken over by a later scan of the same poll, since timeouts count from its start. */
  clocks: ClockSubscription[] = [];
  readonly #state: HostState;

  constructor(state: HostState, request: Poll) {
    this.#state = state;
    const { memory } = state;
    memory.slice(request.input, request.count * SIZE.subscription);
    const view = memory.view;
    for (let index = 0; index < request.count; index++) {
      const at = (request.input >>> 0) + index * SIZE.subscription;
      const userdata = view.getBigUint64(at, true);
      const type = view.getUint8(at + 8);
      if (type === EVENT.clock) this.#clock(view, at, userdata);
      else if (type === EVENT.fdRead || type === EVENT.fdWrite) {
        this.#descriptor(view.getUint32(at + 16, true), type, userdata);
      } else throw new WasiError(ERRNO.inval);
    }
  }

  expired(): boolean {
    return this.clockEvents().length > 0;
  }

  /** Until the first clock is due; `undefined` without a clock. */
  timeoutMs(): number | undefined {
    if (this.clocks.length === 0) return undefined;
    const now = this.#state.clock.monotonicNs();
    const waits = this.clocks.map((clock) => Number(clock.deadlineNs - now) / 1e6);
    return Math.max(0, Math.min(...waits));
  }

  clockEvents(): Event[] {
    if (this.clocks.length === 0) return [];
    const now = this.#state.clock.monotonicNs();
    return this.clocks
      .filter((clock) => clock.deadlineNs <= now)
      .map(({ userdata }) => eventOf(userdata, EVENT.clock, ERRNO.success));
  }

  #clock(view: DataView, at: number, userdata: bigint): void {
    const id = view.getUint32(at + 16, true);
    const timeout = view.getBigUint64(at + 24, true);
    const absolute = (view.getUint16(at + 40, true) & CLOCK_ABSTIME) !== 0;
    const { clock } = this.#state;
    if (id !== CLOCK_ID.realtime && id !== CLOCK_ID.monotonic) {
      const known = id === CLOCK_ID.processCpu || id === CLOCK_ID.threadCpu;
      this.events.push(eventOf(userdata, EVENT.clock, known ? ERRNO.notsup : ERRNO.inval));
      return;
    }
    const now = clock.monotonicNs();
    const base = !absolute ? now : id === CLOCK_ID.realtime ? now - clock.realtimeNs() : 0n;
    this.clocks.push({ userdata, deadlineNs: base + timeout });
  }

  #descriptor(fd: number, type: number, userdata: bigint): void {
    const descriptor = this.#state.descriptors.find(fd);
    if (descriptor === undefined) {
      this.events.push(eventOf(userdata, type, ERRNO.badf));
      return;
    }
    const { target } = descriptor;
    const side = type === EVENT.fdRead ? "read" : "write";
    const wrongWay =
      (target.kind === "output" && side === "read") ||
      (target.kind === "input" && side === "write") ||
      target.kind === "directory" ||
      (descriptor.rights & RIGHTS.pollFdReadwrite) === 0;
    if (wrongWay) this.events.push(eventOf(userdata, type, ERRNO.badf));
    else if (target.kind === "listener") {
      if (side === "read" && target.pending > 0) {
        this.events.push(eventOf(userdata, type, ERRNO.success, target.pending));
      } else this.interests.push({ source: target, side });
    } else if (target.kind === "connection") {
      const ready = side === "read" ? target.readable : target.writable;
      if (!ready) this.interests.push({ source: target, side });
      else {
        const bytes = side === "read" ? target.buffered : 1;
        const flags = target.hangup ? EVENT_HANGUP : 0;
        this.events.push(eventOf(userdata, type, ERRNO.success, bytes, flags));
      }
    } else {
      const left = target.kind === "file" ? Math.max(0, target.size - target.position) : 1;
      this.events.push(eventOf(userdata, type, ERRNO.success, side === "read" ? left : 1));
    }
  }
}

function eventOf(userdata: bigint, type: number, error: Errno, bytes = 0, flags = 0): Event {
  return { userdata, type, error, bytes, flags };
}
