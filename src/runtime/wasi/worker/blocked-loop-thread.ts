import { workerData } from "node:worker_threads";
import { SystemHostClock } from "../host/host-clock.ts";
import { EXIT_BLOCKED } from "../worker-protocol.ts";
import { type BlockedLoopOrder, CELLS } from "./blocked-loop-watch.ts";
import { CriLog } from "./cri-log.ts";
import { leaveResult } from "./leave-result.ts";
import { rfc3339Nano } from "./rfc3339-nano.ts";

// The other side of blocked-loop-watch.ts, in a thread of its own.

/** What the event loop's own deadline may be late by, on a loaded machine, before it counts. */
const SLACK_MS = 2000;
const LOOKS_PER_DEADLINE = 4;
const MAX_LOOK_INTERVAL_MS = 5000;

/** Never returns. */
function watch(order: BlockedLoopOrder): void {
  const { cells, timeoutMs } = order;
  const intervalMs = Math.min(timeoutMs / LOOKS_PER_DEADLINE, MAX_LOOK_INTERVAL_MS);
  // Nothing notifies this cell's waiters between two looks: waiting on it is a sleep.
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let seen = Atomics.load(cells, CELLS.changes);
  let sinceMs = performance.now();
  for (;;) {
    Atomics.wait(sleeper, 0, 0, intervalMs);
    const changes = Atomics.load(cells, CELLS.changes);
    if (changes === seen && Atomics.load(cells, CELLS.instances) === 0) {
      Atomics.wait(cells, CELLS.instances, 0);
      sinceMs = performance.now();
    } else if (changes !== seen) {
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > timeoutMs + SLACK_MS) {
      end(order);
    }
    seen = changes;
  }
}

/** The deadline ended no instance, so its timer did not run: the guest has the event loop. */
function end({ timeoutMs, resultPath, logPath, logMaxBytes }: BlockedLoopOrder): void {
  const message = `a request computed for more than its ${timeoutMs} ms without end`;
  const clock = new SystemHostClock();
  const timestamp = () => rfc3339Nano(clock.realtimeNs());
  try {
    const log = new CriLog({ path: logPath, maxBytes: logMaxBytes, timestamp });
    log.note(message);
    log.close();
    leaveResult(resultPath, { exitCode: EXIT_BLOCKED, reason: "Error", message }, clock);
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}

watch(workerData as BlockedLoopOrder);
