import { renameSync, writeFileSync } from "node:fs";
import { SystemHostClock } from "../host/host-clock.ts";
import { PREVIEW1, WasiHost } from "../host/wasi-host.ts";
import { emptyInput } from "../host/streams.ts";
import type { FacadeStatus, WorkerResult, WorkerSpec } from "../worker-protocol.ts";
import { CommandGuest } from "./command-guest.ts";
import { compileModule } from "./compile-module.ts";
import { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { recordDeepStacks } from "./guest-end.ts";
import { rfc3339Nano } from "./rfc3339-nano.ts";
import { WagiGuest } from "./wagi-guest.ts";

/** A container that is ready to run: compiled, its sockets bound, its log open. */
export interface Container {
  readonly guest: Guest;
  readonly facade: readonly FacadeStatus[];
  /** Closes the log and leaves the result file; call once, right before the process ends. */
  finish(end: GuestEnd): void;
}

/** Prepares a container. Throws an error whose message is for the pod's status. */
export async function prepareContainer(spec: WorkerSpec): Promise<Container> {
  recordDeepStacks();
  const clock = new SystemHostClock();
  const compiled = await compileModule({
    path: spec.modulePath,
    memoryLimitBytes: spec.memoryLimitBytes,
    provided: providedFunctions(clock),
  });
  const log = new CriLog({
    path: spec.logPath,
    maxBytes: spec.logMaxBytes,
    timestamp: () => rfc3339Nano(clock.realtimeNs()),
  });
  const guest =
    spec.style === "wagi"
      ? new WagiGuest(spec, compiled, log, clock)
      : new CommandGuest(spec, compiled, log, clock);
  return {
    guest,
    facade: guest.listen(),
    finish(end) {
      log.close();
      leaveResult(spec.resultPath, end, clock);
    },
  };
}

/** Leaves the result where the supervisor looks for it: whole, or not at all. */
export function leaveResult(path: string, end: GuestEnd, clock = new SystemHostClock()): void {
  const result: WorkerResult = { ...end, finishedAt: rfc3339Nano(clock.realtimeNs()) };
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(result), { mode: 0o600 });
  renameSync(temporary, path);
}

function providedFunctions(clock: SystemHostClock): ReadonlySet<string> {
  const quiet = { kind: "output", lineBuffered: false, write: () => undefined } as const;
  const host = new WasiHost({
    args: [],
    env: [],
    stdin: emptyInput,
    stdout: quiet,
    stderr: quiet,
    ports: [],
    preopens: [],
    clock,
  });
  return new Set(Object.keys(host.imports()[PREVIEW1] ?? {}).map((name) => `${PREVIEW1}.${name}`));
}
