import { renameSync, writeFileSync } from "node:fs";
import { SystemHostClock } from "../host/host-clock.ts";
import type { WorkerResult } from "../worker-protocol.ts";
import type { GuestEnd } from "./guest.ts";
import { rfc3339Nano } from "./rfc3339-nano.ts";

/** Leaves the result where the supervisor looks for it: whole, or not at all. */
export function leaveResult(path: string, end: GuestEnd, clock = new SystemHostClock()): void {
  const result: WorkerResult = { ...end, finishedAt: rfc3339Nano(clock.realtimeNs()) };
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(result), { mode: 0o600 });
  renameSync(temporary, path);
}
