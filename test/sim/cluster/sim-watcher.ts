import type { Prng } from "../core/prng.ts";
import type { ApiCalls } from "./api-calls.ts";
import { requestOf } from "./api-calls.ts";
import type { ClusterStatistics } from "./cluster-statistics.ts";
import { ClusterViolation } from "./cluster-violation.ts";
import type { SimServer } from "./sim-server.ts";
import type { Timeline } from "./timeline.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const RECONNECT_MS = 200;
/** A quiet watch is given up now and then, as clients behind balancers see it. */
const MAX_WATCH_MS = 20_000;

/** What one connection of a watch told, from the revision it began at. */
export interface WatchRecord {
  readonly after: number;
  readonly server: string;
  readonly events: WatchedEvent[];
  /** It knows everything up to here: the last event, or a bookmark. */
  upTo: number;
}

export interface WatchedEvent {
  readonly type: string;
  readonly name: string;
  readonly value: number;
  readonly revision: number;
}

interface WatchLine {
  readonly type: string;
  readonly object: {
    readonly code?: number;
    readonly metadata?: { readonly name?: string; readonly resourceVersion?: string };
    readonly data?: { readonly v?: string };
  };
}

export interface WatcherParts {
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly calls: ApiCalls;
  readonly statistics: ClusterStatistics;
  readonly servers: () => readonly SimServer[];
}

/** Follows all ConfigMaps, going from server to server with the last revision it knows. */
export class SimWatcher {
  readonly records: WatchRecord[] = [];
  readonly #parts: WatcherParts;
  #revision: number | undefined;

  constructor(parts: WatcherParts) {
    this.#parts = parts;
  }

  async run(until: AbortSignal): Promise<void> {
    const { prng, servers, timeline } = this.#parts;
    while (!until.aborted) {
      const server = prng.pick(servers());
      if (server !== undefined) {
        this.#revision ??= await this.#listed(server);
        if (this.#revision !== undefined) await this.#watch(server, this.#place(), until);
      }
      await timeline.wait(RECONNECT_MS);
    }
  }

  /** Where it stands; now and then somewhere it stood before, which may be forgotten by now. */
  #place(): number {
    const earlier = this.#parts.prng.permille(200)
      ? this.#parts.prng.pick(this.records)
      : undefined;
    return earlier?.after ?? this.#revision ?? 0;
  }

  async #listed(server: SimServer): Promise<number | undefined> {
    const answer = await this.#parts.calls.call(server, "GET", CONFIG_MAPS);
    if (typeof answer === "string" || answer.code !== 200) return undefined;
    return Number(answer.body.metadata?.resourceVersion);
  }

  async #watch(server: SimServer, after: number, until: AbortSignal): Promise<void> {
    const { calls, statistics, timeline, prng } = this.#parts;
    const ended = new AbortController();
    const cancel = timeline.after(1 + prng.below(MAX_WATCH_MS), () => ended.abort());
    until.addEventListener("abort", () => ended.abort(), { once: true });
    const path = `${CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&resourceVersion=${after}`;
    const response = await calls.send(server, requestOf("GET", path, undefined, ended.signal));
    if (typeof response !== "string" && response.status === 200 && response.body !== null) {
      statistics.count("watch opened");
      const record: WatchRecord = { after, server: server.member.name, events: [], upTo: after };
      this.records.push(record);
      await this.#read(response.body, record, server, ended.signal);
    } else if (typeof response !== "string" && response.status === 410) this.#gone();
    cancel();
    ended.abort();
  }

  async #read(
    body: ReadableStream<Uint8Array>,
    record: WatchRecord,
    server: SimServer,
    ended: AbortSignal,
  ): Promise<void> {
    const reader = body.getReader();
    const { promise: over, resolve } = Promise.withResolvers<{ done: true; value?: undefined }>();
    ended.addEventListener("abort", () => resolve({ done: true }), { once: true });
    server.lost?.catch(() => resolve({ done: true }));
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), over]);
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line !== "") this.#take(JSON.parse(line) as WatchLine, record);
      }
    }
    // A stream of a dead process never answers.
    if (server.running) void reader.cancel().catch(() => undefined);
  }

  #take({ type, object }: WatchLine, record: WatchRecord): void {
    if (type === "ERROR") {
      if (object.code === 410) this.#gone();
      return;
    }
    const revision = Number(object.metadata?.resourceVersion);
    if (!(revision >= record.upTo)) {
      throw new ClusterViolation("watches", `${type} of ${revision} after ${record.upTo}`);
    }
    record.upTo = revision;
    this.#revision = revision;
    if (type === "BOOKMARK") return;
    this.#parts.statistics.count("watch event");
    const value = Number(object.data?.v);
    record.events.push({ type, name: object.metadata?.name ?? "", value, revision });
  }

  #gone(): void {
    this.#parts.statistics.count("watch told 410");
    this.#revision = undefined;
  }
}

/** Compares what each connection told with what happened; the truth is in order of revision. */
export function checkWatches(
  records: readonly WatchRecord[],
  truth: readonly WatchedEvent[],
): void {
  for (const { after, upTo, server, events } of records) {
    const due = truth.filter(({ revision }) => revision > after && revision <= upTo);
    for (let at = 0; at < Math.max(due.length, events.length); at++) {
      const told = events[at];
      const happened = due[at];
      if (JSON.stringify(told) === JSON.stringify(happened)) continue;
      const what = `a watch of ${server} after ${after} told as its event ${at + 1}`;
      const truly = `${JSON.stringify(told)}, where ${JSON.stringify(happened)} happened`;
      throw new ClusterViolation("watches", `${what} ${truly}`);
    }
  }
}
