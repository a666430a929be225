import type { Prng } from "../core/prng.ts";
import { ABSENT } from "../object-model.ts";
import type { ObjectCall, Value } from "../object-model.ts";
import type { ApiAnswer, ApiCalls, CallOutcome } from "./api-calls.ts";
import type { ClusterStatistics } from "./cluster-statistics.ts";
import { ClusterViolation } from "./cluster-violation.ts";
import type { ClientHistory } from "./history.ts";
import type { SimServer } from "./sim-server.ts";
import type { Timeline } from "./timeline.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const SERVICES = "/api/v1/namespaces/default/services";
const NAMES = ["a", "b", "c", "d"] as const;
const SERVICE_NAMES = ["web", "db", "mail"] as const;
/** How often a read is asked again at other servers. */
const READ_ATTEMPTS = 5;
const PADDING_BYTES = 600;

/** What the client saw of an object last, and may base an update on. */
interface Seen {
  readonly value: Value;
  readonly resourceVersion: string;
}

export interface ClientParts {
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly calls: ApiCalls;
  readonly history: ClientHistory;
  readonly statistics: ClusterStatistics;
  readonly servers: () => readonly SimServer[];
  /** Draws a value that nobody else writes. */
  readonly newValue: () => Value;
  readonly note: (text: string) => void;
}

/** One client: asks one thing after the other, of whichever server it likes. */
export class SimClient {
  readonly #parts: ClientParts;
  readonly #name: string;
  readonly #seen = new Map<string, Seen>();
  operations = 0;

  constructor(name: string, parts: ClientParts) {
    this.#name = name;
    this.#parts = parts;
  }

  /** Works until it was told to stop, a pause after each operation. */
  async run(until: AbortSignal, meanPauseMs: number): Promise<void> {
    const { prng, timeline } = this.#parts;
    while (!until.aborted) {
      await timeline.wait(prng.below(2 * meanPauseMs));
      if (until.aborted) return;
      await this.operate();
      this.operations += 1;
    }
  }

  async operate(): Promise<void> {
    const { prng } = this.#parts;
    const name = prng.pick(NAMES) ?? "a";
    const dice = prng.below(100);
    if (dice < 25) await this.#create(name);
    else if (dice < 50) await this.#update(name);
    else if (dice < 62) await this.#delete(name);
    else if (dice < 85) await this.#get(name);
    else if (dice < 92) await this.#list();
    else await this.#service(prng.pick(SERVICE_NAMES) ?? "web");
  }

  async #create(name: string): Promise<void> {
    const { newValue, statistics } = this.#parts;
    const value = newValue();
    statistics.count("create");
    const body = configMap(name, value);
    await this.#write(name, value, "POST", CONFIG_MAPS, body, (answer) => {
      const { code } = answer;
      if (code === 201) return { verb: "create", value, answer: "done" };
      if (code === 409) return { verb: "create", value, answer: "exists" };
      return code === 0 ? { verb: "create", value, answer: "unknown" } : undefined;
    });
  }

  async #update(name: string): Promise<void> {
    const { newValue, statistics } = this.#parts;
    const seen = this.#seen.get(name);
    if (seen === undefined) return await this.#get(name);
    const value = newValue();
    const expected = seen.value;
    statistics.count("update");
    const body = configMap(name, value, seen.resourceVersion);
    await this.#write(name, value, "PUT", `${CONFIG_MAPS}/${name}`, body, (answer) => {
      const outcome = outcomeOf(answer.code, 200);
      return outcome && { verb: "update", expected, value, answer: outcome };
    });
  }

  async #delete(name: string): Promise<void> {
    const { prng, statistics } = this.#parts;
    const seen = prng.permille(500) ? this.#seen.get(name) : undefined;
    statistics.count("delete");
    const { resourceVersion } = seen ?? {};
    const body = seen === undefined ? undefined : { preconditions: { resourceVersion } };
    const expected = seen?.value;
    await this.#write(name, ABSENT, "DELETE", `${CONFIG_MAPS}/${name}`, body, (answer) => {
      const outcome = outcomeOf(answer.code, 200);
      return outcome && { verb: "delete", expected, answer: outcome };
    });
  }

  /** Asks once: a write is never repeated without knowing what became of it. */
  async #write(
    name: string,
    value: Value,
    method: string,
    path: string,
    body: object | undefined,
    callOf: (answer: ApiAnswer) => ObjectCall | undefined,
  ): Promise<void> {
    const { calls, history, statistics, timeline } = this.#parts;
    const server = this.#anyServer();
    if (server === undefined) return;
    const start = timeline.nowMs;
    const answer = this.#definite(await calls.call(server, method, path, body));
    this.#note(`${method} ${name}=${value} at ${server.member.name}`, start, answer);
    if (answer === undefined) {
      statistics.count("refused");
      return;
    }
    const call = callOf(answer);
    if (call === undefined) {
      throw new ClusterViolation("assertion", `${method} ${path}: ${JSON.stringify(answer)}`);
    }
    const unknown = answer.code === 0;
    statistics.count(unknown ? "outcome unknown" : "answered");
    const end = unknown ? Infinity : timeline.nowMs;
    history.record(name, { call, start, end });
    const revision = Number(answer.body.metadata?.resourceVersion ?? 0);
    if (value !== ABSENT && revision > 0 && answer.code < 300) {
      history.acknowledge({ key: name, value, revision });
      this.#seen.set(name, { value, resourceVersion: String(revision) });
    }
  }

  async #get(name: string): Promise<void> {
    const { history, statistics, timeline } = this.#parts;
    statistics.count("get");
    const start = timeline.nowMs;
    const answer = await this.#read(`${CONFIG_MAPS}/${name}`);
    if (answer === undefined) return;
    const value = answer.code === 404 ? ABSENT : this.#see(name, answer.body);
    history.record(name, { call: { verb: "get", answer: value }, start, end: timeline.nowMs });
  }

  async #list(): Promise<void> {
    const { history, statistics, timeline } = this.#parts;
    statistics.count("list");
    const start = timeline.nowMs;
    const before = history.highestRevision;
    const answer = await this.#read(CONFIG_MAPS);
    if (answer === undefined) return;
    const end = timeline.nowMs;
    const revision = Number(answer.body.metadata?.resourceVersion);
    if (!(revision >= before)) {
      throw new ClusterViolation("revisions", `a list at ${revision} after ${before} was told`);
    }
    history.sawRevision(revision);
    const items = new Map(answer.body.items?.map((item) => [item.metadata?.name, item]));
    for (const name of NAMES) {
      const item = items.get(name);
      const value = item === undefined ? ABSENT : this.#see(name, item);
      history.record(name, { call: { verb: "get", answer: value }, start, end });
    }
  }

  /** Services have addresses, which must not be given twice. */
  async #service(name: string): Promise<void> {
    const { calls, prng, statistics } = this.#parts;
    const server = this.#anyServer();
    if (server === undefined) return;
    if (prng.permille(400)) {
      await calls.call(server, "DELETE", `${SERVICES}/${name}`);
      return;
    }
    const answer = await calls.call(server, "POST", SERVICES, {
      metadata: { name },
      spec: { ports: [{ port: 80 }], ...(prng.permille(300) && { type: "NodePort" }) },
    });
    if (typeof answer !== "string" && answer.code === 201) statistics.count("service created");
  }

  /** Reads may be asked again; undefined when no server answers. */
  async #read(path: string): Promise<ApiAnswer | undefined> {
    const { calls, statistics, timeline } = this.#parts;
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const server = this.#anyServer();
      if (server === undefined) break;
      const start = timeline.nowMs;
      const answer = this.#definite(await calls.call(server, "GET", path));
      this.#note(`GET ${path.slice(CONFIG_MAPS.length)} at ${server.member.name}`, start, answer);
      if (answer !== undefined && (answer.code === 200 || answer.code === 404)) {
        statistics.count("answered");
        return answer;
      }
      await timeline.wait(100);
    }
    statistics.count("refused");
    return undefined;
  }

  #see(name: string, body: ApiAnswer["body"]): Value {
    const value = Number(body.data?.v);
    const resourceVersion = body.metadata?.resourceVersion ?? "";
    this.#parts.history.sawObject(name, value, Number(resourceVersion));
    this.#seen.set(name, { value, resourceVersion });
    return value;
  }

  /** Undefined: certainly nothing was done. Code 0: who knows. */
  #definite(outcome: CallOutcome): ApiAnswer | undefined {
    if (outcome === "refused") return undefined;
    if (outcome === "lost") return { code: 0, body: {} };
    const { code } = outcome;
    if (code === 503 || code === 429 || code === 507) return undefined;
    // It was removed, does not know it yet, and the leader takes nothing from it.
    if (code === 403 && outcome.body.message?.endsWith("is no server of this cluster")) {
      return undefined;
    }
    return code >= 500 ? { code: 0, body: outcome.body } : outcome;
  }

  #anyServer(): SimServer | undefined {
    const { prng, servers } = this.#parts;
    return prng.pick(servers());
  }

  #note(what: string, start: number, answer: ApiAnswer | undefined): void {
    const { code, body } = answer ?? { code: "refused", body: {} };
    const revision = body.metadata?.resourceVersion ?? body.message ?? "";
    this.#parts.note(`${this.#name} ${what} since ${start.toFixed(0)}: ${code} ${revision}`);
  }
}

function configMap(name: string, value: Value, resourceVersion?: string): object {
  return {
    metadata: { name, ...(resourceVersion !== undefined && { resourceVersion }) },
    data: { v: String(value), padding: "x".repeat(value % PADDING_BYTES) },
  };
}

function outcomeOf(
  code: number,
  done: number,
): "done" | "conflict" | "missing" | "unknown" | undefined {
  if (code === done) return "done";
  if (code === 409) return "conflict";
  if (code === 404) return "missing";
  return code === 0 ? "unknown" : undefined;
}
