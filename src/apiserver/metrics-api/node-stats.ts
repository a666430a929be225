import type { Clock } from "../../lib/index.ts";
import type { NodeConnector } from "../api-request.ts";

/** How long what a node said is good for: those who ask within it share one answer. */
export const STATS_TTL_MS = 2_000;
/** A node that says nothing by then is left out. */
export const STATS_DEADLINE_MS = 3_000;

/** Usage at a time, as `/stats/summary` of a node agent tells it. */
export interface UsageStats {
  readonly cpu: {
    readonly time: string;
    readonly usageNanoCores: number;
    readonly windowMs: number;
  };
  readonly memory: { readonly workingSetBytes: number };
}

export interface PodStats {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly containers: readonly ({ readonly name: string } & UsageStats)[];
}

/** What went through a node's proxy to one pod, as `/stats/traffic` tells it. */
export interface TrafficStats {
  readonly ip: string;
  readonly inFlight: number;
  readonly requestsPerSecond: number;
  /** Milliseconds since something was under way to it. */
  readonly idleMs: number;
}

export interface NodeReport {
  readonly node: UsageStats;
  readonly pods: readonly PodStats[];
  readonly traffic: readonly TrafficStats[];
}

interface Kept {
  readonly report: Promise<NodeReport | undefined>;
  readonly untilMs: number;
}

/** Asks the nodes what they and their pods use. */
export class NodeStats {
  readonly #connector: NodeConnector;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  constructor(connector: NodeConnector, clock: Clock) {
    this.#connector = connector;
    this.#clock = clock;
  }

  /** What these nodes said; undefined for one that cannot be asked. */
  async of(nodes: readonly string[]): Promise<ReadonlyMap<string, NodeReport | undefined>> {
    const nowMs = this.#clock.monotonic();
    for (const [name, { untilMs }] of this.#kept) if (untilMs <= nowMs) this.#kept.delete(name);
    const reports = nodes.map(async (name) => {
      const kept = this.#kept.get(name) ?? {
        report: this.#ask(name),
        untilMs: nowMs + STATS_TTL_MS,
      };
      this.#kept.set(name, kept);
      return [name, await kept.report] as const;
    });
    return new Map(await Promise.all(reports));
  }

  async #ask(name: string): Promise<NodeReport | undefined> {
    const fetch = this.#connector(name);
    if (fetch === undefined) return undefined;
    const abort = new AbortController();
    const late = Promise.withResolvers<undefined>();
    const cancel = this.#clock.after(STATS_DEADLINE_MS, () => {
      abort.abort();
      late.resolve(undefined);
    });
    const get = async (path: string): Promise<unknown> => {
      const url = `http://${encodeURIComponent(name)}${path}`;
      const answer = await fetch(new Request(url, { signal: abort.signal }));
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
      return answer.json();
    };
    const asked = async (): Promise<NodeReport | undefined> => {
      const [summary, traffic] = await Promise.all([get("/stats/summary"), get("/stats/traffic")]);
      return { ...(summary as Omit<NodeReport, "traffic">), traffic: traffic as TrafficStats[] };
    };
    // A node that cannot be reached says nothing: its pods have no metrics for now.
    const report = await Promise.race([asked().catch(() => undefined), late.promise]);
    cancel();
    return report;
  }
}
