import { SystemHostClock } from "../host/host-clock.ts";
import { PREVIEW1, WasiHost } from "../host/wasi-host.ts";
import { emptyInput } from "../host/streams.ts";
import type { FacadeStatus, WorkerSpec } from "../worker-protocol.ts";
import { CommandGuest } from "./command-guest.ts";
import { compileBytes, compileModule } from "./compile-module.ts";
import { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { PAGE_BYTES } from "./limit-memory.ts";
import { recordDeepStacks } from "./guest-end.ts";
import { leaveResult } from "./leave-result.ts";
import { rfc3339Nano } from "./rfc3339-nano.ts";
import { WagiGuest } from "./wagi-guest.ts";

export { leaveResult } from "./leave-result.ts";

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
  const createGuest = await loadGuest(spec, clock);
  const log = new CriLog({
    path: spec.logPath,
    maxBytes: spec.logMaxBytes,
    timestamp: () => rfc3339Nano(clock.realtimeNs()),
  });
  const guest = createGuest(log);
  return {
    guest,
    facade: guest.listen(),
    finish(end) {
      log.close();
      leaveResult(spec.resultPath, end, clock);
    },
  };
}

/** Loads and compiles what the spec names; the log is opened only when that went well. */
async function loadGuest(
  spec: WorkerSpec,
  clock: SystemHostClock,
): Promise<(log: CriLog) => Guest> {
  const { component } = spec;
  if (component !== undefined) {
    const { loadComponent } = await componentRoom();
    return loadComponent({ ...spec, component }, clock);
  }
  const compiled = await compileModule({
    path: spec.modulePath,
    memoryLimitBytes: spec.memoryLimitBytes,
    provided: providedFunctions(clock),
    ...(spec.style === "wagi" ? { poolMemory: true } : {}),
  });
  return (log) =>
    spec.style === "wagi"
      ? new WagiGuest(spec, compiled, log, clock)
      : new CommandGuest(spec, compiled, log, clock);
}

/** Loaded when a worker has nothing to do: modules do without it. */
function componentRoom(): Promise<typeof import("./load-component.ts")> {
  return import("./load-component.ts");
}

function providedFunctions(clock: SystemHostClock): ReadonlySet<string> {
  const functions = quietHost(clock).imports()[PREVIEW1] ?? {};
  return new Set(Object.keys(functions).map((name) => `${PREVIEW1}.${name}`));
}

/** A host that leads nowhere. */
function quietHost(clock: SystemHostClock): WasiHost {
  const quiet = { kind: "output", lineBuffered: false, write: () => undefined } as const;
  return new WasiHost({
    args: [],
    env: [],
    stdin: emptyInput,
    stdout: quiet,
    stderr: quiet,
    ports: [],
    preopens: [],
    clock,
  });
}

/** `(module (memory (export "memory") 1) (func (export "_start")))` */
const SMALLEST_COMMAND = Buffer.from(
  "0061736d01000000010401600000030201000503010001" +
    "071302066d656d6f72790200065f737461727400000a040102000b",
  "hex",
);

/**
 * Runs the smallest module there is, so that the engine, its stack switching and our own code are
 * set up before a container waits for them (4 ms of its start, measured).
 */
export async function warmUp(): Promise<void> {
  const clock = new SystemHostClock();
  const { module } = await compileBytes(SMALLEST_COMMAND, {
    memoryLimitBytes: PAGE_BYTES,
    provided: providedFunctions(clock),
  });
  const host = quietHost(clock);
  await host.run(new WebAssembly.Instance(module, host.imports()));
  host.close();
  await componentRoom();
}
