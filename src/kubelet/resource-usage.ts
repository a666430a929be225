import { cpus, freemem, totalmem } from "node:os";
import { type Clock, type Logger, sleep } from "../lib/index.ts";
import {
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  RuntimeError,
} from "../runtime/index.ts";

/** How often usage is looked at; what is told is a rate over two or more looks. */
export const SAMPLE_INTERVAL_MS = 10_000;
/** A look that is newer than this is good enough for an answer. */
const FRESH_MS = 1_000;
/** A rate is taken over at most this many looks back. */
const MAX_SAMPLES = 4;
/** Containers looked at without a pause: a look reads files, and others wait meanwhile. */
const CONTAINERS_A_STEP = 100;
const PAUSE_MS = 1;

/** What the machine as a whole uses. */
export interface MachineUsage {
  /** Processor time since it started. */
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
}

/** Usage over a window that ends at `atMs`, Unix epoch. */
export interface Usage {
  readonly atMs: number;
  readonly windowMs: number;
  readonly cpuNanoseconds: number;
  /** A rate: 1e9 is one processor all the time. */
  readonly cpuNanoCores: number;
  readonly memoryBytes: number;
}

export interface ContainerUsage extends Usage {
  readonly podUid: string;
  readonly name: string;
  /** How often the container was started again. */
  readonly restarts: number;
  readonly startedAtMs?: number;
  readonly throttling?: ContainerStats["throttling"];
  readonly logBytesDropped: number;
}

export interface UsageReport {
  readonly machine: Usage;
  readonly containers: readonly ContainerUsage[];
}

interface Sample extends MachineUsage {
  readonly atMs: number;
}

/** Remembers what containers used, so that processor time can be told as a rate. */
export class ResourceUsage {
  readonly #runtime: ContainerRuntime;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Running containers whose usage could not be had: said once of each. */
  readonly #unread = new Set<string>();
  readonly #readMachine: () => MachineUsage;
  readonly #samples = new Map<string, Sample[]>();
  /** What the last look saw beside usage. */
  readonly #stats = new Map<string, ContainerStats>();
  #machine: Sample[] = [];
  #containers: readonly ContainerStatus[] = [];
  #sampling: Promise<void> | undefined;

  constructor(options: {
    readonly runtime: ContainerRuntime;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly readMachine?: () => MachineUsage;
  }) {
    this.#runtime = options.runtime;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#readMachine = options.readMachine ?? machineUsage;
  }

  /** Looks at usage until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look();
      await sleep(this.#clock, SAMPLE_INTERVAL_MS, signal);
    }
  }

  async report(): Promise<UsageReport> {
    const last = this.#machine.at(-1);
    if (last === undefined || this.#clock.now() - last.atMs >= FRESH_MS) await this.#look();
    const containers = this.#containers.flatMap((container): ContainerUsage[] => {
      const samples = this.#samples.get(container.id) ?? [];
      const usage = usageOf(samples, startOf(container));
      if (usage === undefined) return [];
      const { podUid, name, attempt: restarts, startedAt } = container;
      const { throttling, logBytesDropped = 0 } = this.#stats.get(container.id) ?? {};
      return [
        {
          ...usage,
          podUid,
          name,
          restarts,
          logBytesDropped,
          ...(startedAt === undefined ? {} : { startedAtMs: startedAt }),
          ...(throttling === undefined ? {} : { throttling }),
        },
      ];
    });
    const idle: Usage = {
      atMs: this.#clock.now(),
      windowMs: 0,
      cpuNanoseconds: 0,
      cpuNanoCores: 0,
      memoryBytes: 0,
    };
    return { machine: usageOf(this.#machine) ?? idle, containers };
  }

  /** Several who ask at the same time share one look. */
  #look(): Promise<void> {
    this.#sampling ??= this.#sample().finally(() => {
      this.#sampling = undefined;
    });
    return this.#sampling;
  }

  async #sample(): Promise<void> {
    const all = await this.#runtime.listContainers();
    const running = all.filter(({ state }) => state === "running");
    for (let from = 0; from < running.length; from += CONTAINERS_A_STEP) {
      if (from > 0) await sleep(this.#clock, PAUSE_MS);
      const step = running.slice(from, from + CONTAINERS_A_STEP);
      await Promise.all(step.map((container) => this.#sampleContainer(container)));
    }
    const ids = new Set(running.map(({ id }) => id));
    for (const known of [this.#samples, this.#stats, this.#unread]) {
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
    }
    this.#containers = running;
    this.#machine = remember(this.#machine, { ...this.#readMachine(), atMs: this.#clock.now() });
  }

  async #sampleContainer({ id, podUid, name }: ContainerStatus): Promise<void> {
    try {
      const stats = await this.#runtime.containerStats(id);
      if (stats === undefined) return;
      const { cpuNanoseconds, memoryBytes } = stats;
      const sample = { cpuNanoseconds, memoryBytes, atMs: this.#clock.now() };
      this.#samples.set(id, remember(this.#samples.get(id) ?? [], sample));
      this.#stats.set(id, stats);
    } catch (error) {
      // A container that ends at this moment has no usage any more.
      if (error instanceof RuntimeError && error.code === "not-found") return;
      if (this.#unread.has(id)) return;
      this.#unread.add(id);
      const fields = { podUid, container: name, error: String(error) };
      this.#logger.warn("a container's usage cannot be read", fields);
    }
  }
}

function startOf({ startedAt }: ContainerStatus): Sample | undefined {
  return startedAt === undefined
    ? undefined
    : { atMs: startedAt, cpuNanoseconds: 0, memoryBytes: 0 };
}

/** Looks that follow closely replace one another, so that the window stays long. */
function remember(samples: readonly Sample[], next: Sample): Sample[] {
  const before = samples.at(-2);
  const crowded = before !== undefined && next.atMs - before.atMs < SAMPLE_INTERVAL_MS;
  return [...(crowded ? samples.slice(0, -1) : samples), next].slice(-MAX_SAMPLES);
}

/** The first look has nothing to be compared with but the start of what it looks at. */
function usageOf(samples: readonly Sample[], start?: Sample): Usage | undefined {
  const last = samples.at(-1);
  const first = samples.length < 2 ? start : samples[0];
  if (last === undefined || first === undefined) return undefined;
  const windowMs = Math.max(1, last.atMs - first.atMs);
  const used = Math.max(0, last.cpuNanoseconds - first.cpuNanoseconds);
  return {
    atMs: last.atMs,
    windowMs,
    cpuNanoseconds: last.cpuNanoseconds,
    cpuNanoCores: Math.round((used * 1000) / windowMs),
    memoryBytes: last.memoryBytes,
  };
}

function machineUsage(): MachineUsage {
  const busyMs = cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0,
  );
  return { cpuNanoseconds: busyMs * 1e6, memoryBytes: totalmem() - freemem() };
}
