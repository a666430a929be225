import type { LikelyComponent } from "../component/likely-components.ts";
import type { GuestLimits } from "../host/guest-limits.ts";
import { SystemHostClock } from "../host/host-clock.ts";
import { PREVIEW1, WasiHost } from "../host/wasi-host.ts";
import { emptyInput } from "../host/streams.ts";
import type { FacadeStatus, WorkerSpec } from "../worker-protocol.ts";
import { attempt } from "./attempt.ts";
import { BlockedLoopWatch, type GuestTurns } from "./blocked-loop-watch.ts";
import { CommandGuest } from "./command-guest.ts";
import { compileBytes, type CompiledModule, compileModule } from "./compile-module.ts";
import { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { guestShare } from "./guest-shares.ts";
import { PAGE_BYTES } from "./limit-memory.ts";
import type { PreparedComponents } from "./prepared-components.ts";
import { recordDeepStacks } from "./guest-end.ts";
import { leaveResult } from "./leave-result.ts";
import { rfc3339Nano } from "./rfc3339-nano.ts";
import { SharedModules } from "./shared-modules.ts";

/** What the containers of one process have in common. */
export interface ProcessResources {
  readonly modules: SharedModules;
  readonly watch: BlockedLoopWatch;
  /** What each may take of the process; absent when there is one only. */
  readonly share: GuestLimits | undefined;
  /** What was loaded before it was asked for. */
  readonly prepared: PreparedComponents | undefined;
  readonly leaveResult: typeof leaveResult;
}

/** `spec` is that of the process's first container. */
export function createResources(
  { shared }: WorkerSpec,
  prepared: PreparedComponents | undefined,
): ProcessResources {
  return {
    modules: new SharedModules(),
    watch: new BlockedLoopWatch(),
    share: shared && guestShare(shared.capacity),
    prepared,
    leaveResult,
  };
}

/** What is likely to be run in a process: given to it before anybody knows. */
export interface WorkerExpectation {
  /** Absent where no component is likely to come. */
  readonly components?: readonly LikelyComponent[];
}

/** A container that is ready to run: compiled, its sockets bound, its log open. */
export interface Container {
  readonly guest: Guest;
  readonly facade: readonly FacadeStatus[];
  /** What the guest computed, where it shares its process; 0 otherwise. */
  computedNs(): bigint;
  /** Gives back what it holds, closes the log and leaves the result file; call once. */
  finish(end: GuestEnd): void;
}

/** Prepares a container. Throws an error whose message is for the pod's status. */
export async function prepareContainer(
  spec: WorkerSpec,
  resources: ProcessResources,
): Promise<Container> {
  recordDeepStacks();
  const { shared } = spec;
  if (shared === undefined) {
    const clock = new SystemHostClock();
    const createGuest = await loadGuest(spec, clock, resources.prepared);
    return openContainer(spec, clock, createGuest, []);
  }
  const { modules, watch, share } = resources;
  const key = `${spec.modulePath} ${spec.memoryLimitBytes ?? "-"}`;
  const use = await modules.use(key, () => compiledOf(spec, new SystemHostClock()));
  const turn = watch.share(spec, { name: shared.name, timeoutMs: shared.blockLimitMs });
  const clock = new GuestClock(turn);
  const create = (log: CriLog) =>
    new CommandGuest(spec, use.module, log, clock, { turn, ...(share && { limits: share }) });
  return openContainer(spec, clock, create, [() => use.release(), () => turn.close()]);
}

/** `held` is given back when the container ended, and at once when it cannot be opened. */
function openContainer(
  spec: WorkerSpec,
  clock: SystemHostClock,
  createGuest: (log: CriLog) => Guest,
  held: (() => void)[],
): Container {
  const giveBack = () => {
    for (const release of held.splice(0).reverse()) attempt(release);
  };
  try {
    const log = new CriLog({
      path: spec.logPath,
      maxBytes: spec.logMaxBytes,
      ...(spec.logBytesPerSecond === undefined ? {} : { bytesPerSecond: spec.logBytesPerSecond }),
      timestamp: () => rfc3339Nano(clock.realtimeNs()),
    });
    held.push(() => log.close());
    const guest = createGuest(log);
    held.push(() => guest.close?.());
    return {
      guest,
      facade: guest.listen(),
      computedNs: () => (spec.shared === undefined ? 0n : clock.cpuNs()),
      finish(end) {
        giveBack();
        attempt(() => leaveResult(spec.resultPath, end, clock));
      },
    };
  } catch (error) {
    giveBack();
    throw error;
  }
}

/** Where several guests share a process, each is shown its own part of the processor's time. */
class GuestClock extends SystemHostClock {
  readonly #turns: GuestTurns;

  constructor(turns: GuestTurns) {
    super();
    this.#turns = turns;
  }

  override cpuNs(): bigint {
    return this.#turns.computedNs;
  }
}

/** Loads and compiles what the spec names; the log is opened only when that went well. */
async function loadGuest(
  spec: WorkerSpec,
  clock: SystemHostClock,
  prepared: PreparedComponents | undefined,
): Promise<(log: CriLog) => Guest> {
  const { component } = spec;
  if (component !== undefined) {
    const { loadComponent } = await componentRoom();
    return loadComponent({ ...spec, component }, clock, prepared);
  }
  const compiled = await compiledOf(spec, clock);
  if (spec.style !== "wagi") return (log) => new CommandGuest(spec, compiled, log, clock);
  const { WagiGuest } = await import("./wagi-guest.ts");
  return (log) => new WagiGuest(spec, compiled, log, clock);
}

function compiledOf(spec: WorkerSpec, clock: SystemHostClock): Promise<CompiledModule> {
  return compileModule({
    path: spec.modulePath,
    memoryLimitBytes: spec.memoryLimitBytes,
    provided: () => providedFunctions(clock),
    ...(spec.preparedPath === undefined ? {} : { preparedPath: spec.preparedPath }),
    ...(spec.style === "wagi" ? { poolMemory: true } : {}),
  });
}

/** Modules do without it: loaded beforehand only where a component is likely to come. */
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
 * set up before a container waits for them (4 ms of its start, measured). What only components need
 * takes 10 ms to load and 3 MB to keep.
 */
export async function warmUp(expects: WorkerExpectation): Promise<PreparedComponents | undefined> {
  const clock = new SystemHostClock();
  const { module } = await compileBytes(SMALLEST_COMMAND, {
    memoryLimitBytes: PAGE_BYTES,
    provided: providedFunctions(clock),
  });
  const host = quietHost(clock);
  await host.run(new WebAssembly.Instance(module, host.imports()));
  host.close();
  if (expects.components === undefined) return undefined;
  const { PreparedComponents } = await componentRoom();
  return new PreparedComponents();
}
