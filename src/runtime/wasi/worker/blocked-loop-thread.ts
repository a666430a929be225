import { receiveMessageOnPort, workerData } from "node:worker_threads";
import { SystemHostClock } from "../host/host-clock.ts";
import { EXIT_BLOCKED, EXIT_KILLED } from "../worker-protocol.ts";
import { attempt } from "./attempt.ts";
import {
  type BlockedLoopOrder,
  CELLS,
  type WatchedGuest,
  type WatchOrder,
} from "./blocked-loop-watch.ts";
import { CriLog } from "./cri-log.ts";
import type { GuestEnd } from "./guest.ts";
import { leaveResult } from "./leave-result.ts";
import { rfc3339Nano } from "./rfc3339-nano.ts";

// The other side of blocked-loop-watch.ts, in a thread of its own.

const LOOKS_PER_DEADLINE = 4;
const MAX_LOOK_INTERVAL_MS = 5000;
/** Until it is known how long the guest that is entered may take. */
const FIRST_LOOK_MS = 50;

/** Never returns. */
function watch({ cells, orders }: BlockedLoopOrder): void {
  const guests = new Map<number, WatchedGuest>();
  // Nothing notifies this cell's waiters between two looks: waiting on it is a sleep.
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let intervalMs = FIRST_LOOK_MS;
  let seen = Atomics.load(cells, CELLS.changes);
  let blockedMs = 0;
  for (;;) {
    const beganMs = performance.now();
    Atomics.wait(sleeper, 0, 0, intervalMs);
    // A machine that was suspended was so for all threads: no look counts for much.
    const sleptMs = Math.min(performance.now() - beganMs, 2 * intervalMs);
    const changes = Atomics.load(cells, CELLS.changes);
    if (changes === seen && Atomics.load(cells, CELLS.instances) === 0) {
      Atomics.wait(cells, CELLS.instances, 0);
      blockedMs = 0;
    } else if (changes !== seen) {
      blockedMs = 0;
    } else {
      blockedMs += sleptMs;
    }
    seen = changes;
    takeOrders(orders, guests);
    const guest = guests.get(Atomics.load(cells, CELLS.guest));
    intervalMs = lookInterval(guest);
    const late = guest !== undefined && blockedMs > guest.timeoutMs + guest.slackMs;
    if (late && Atomics.load(cells, CELLS.changes) === seen) end(guest, guests);
  }
}

function lookInterval(guest: WatchedGuest | undefined): number {
  if (guest === undefined) return FIRST_LOOK_MS;
  return Math.min(guest.timeoutMs / LOOKS_PER_DEADLINE, MAX_LOOK_INTERVAL_MS);
}

function takeOrders(orders: BlockedLoopOrder["orders"], guests: Map<number, WatchedGuest>): void {
  for (let next = receiveMessageOnPort(orders); next; next = receiveMessageOnPort(orders)) {
    const order = next.message as WatchOrder;
    if (order.type === "watch") guests.set(order.guest.index, order.guest);
    else guests.delete(order.index);
  }
}

/** The deadline ended no instance, so its timer did not run: the guest has the event loop. */
function end(culprit: WatchedGuest, guests: ReadonlyMap<number, WatchedGuest>): void {
  const why = `its process was ended for ${culprit.name}, which shares it: ${culprit.what}`;
  try {
    for (const guest of guests.values()) {
      if (guest === culprit) tell(guest, { exitCode: EXIT_BLOCKED, message: guest.what });
      else tell(guest, { exitCode: EXIT_KILLED, message: why });
    }
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}

/** What cannot be written for one, on a full disk for example, must not keep it from the others. */
function tell(guest: WatchedGuest, end: Pick<GuestEnd, "exitCode" | "message">): void {
  const clock = new SystemHostClock();
  const timestamp = () => rfc3339Nano(clock.realtimeNs());
  const { logPath: path, logMaxBytes: maxBytes } = guest;
  attempt(() => {
    const log = new CriLog({ path, maxBytes, timestamp });
    log.note(end.message);
    log.close();
  });
  attempt(() => leaveResult(guest.resultPath, { ...end, reason: "Error" }, clock));
}

watch(workerData as BlockedLoopOrder);
