import { Counter, Gauge, Histogram, Registry as Metrics } from "prom-client";
import type { ResourceTarget } from "./request-target.ts";

/** A number of another room that is asked for whenever somebody reads the metrics. */
export interface Reading {
  /** Of Prometheus' form: `kubun_store_revision`; what ends in `_total` only grows. */
  readonly name: string;
  readonly help: string;
  read(): number;
}

/** A request that was answered. */
export interface ServedRequest {
  readonly verb: string;
  /** What exists: anything else would be a series for each path that a client makes up. */
  readonly of?: Pick<ResourceTarget, "group" | "resource" | "subresource">;
  readonly code: number;
  readonly seconds: number;
  /** A watch, a log: its answer began, and how long it lasts says nothing. */
  readonly stream: boolean;
}

/** Kubernetes' own buckets for requests to its API, thinned out; seconds. */
const DURATION_BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60];
const REQUEST_LABELS = ["verb", "group", "resource", "subresource"] as const;

const NOTHING = { group: "", resource: "", subresource: "" };

/** What /metrics tells: the requests of this server under Kubernetes' names, and other rooms' readings. */
export class ServerMetrics {
  readonly #metrics = new Metrics();
  readonly #requests = new Counter({
    name: "apiserver_request_total",
    help: "Requests answered, by verb, resource and HTTP code.",
    labelNames: [...REQUEST_LABELS, "code"],
    registers: [this.#metrics],
  });
  readonly #durations = new Histogram({
    name: "apiserver_request_duration_seconds",
    help: "How long answers took, without watches and logs.",
    labelNames: REQUEST_LABELS,
    buckets: DURATION_BUCKETS,
    registers: [this.#metrics],
  });

  constructor(readings: readonly Reading[]) {
    for (const reading of readings) this.#metrics.registerMetric(metricOf(reading));
  }

  served(request: ServedRequest): void {
    const { verb, code, seconds, of = NOTHING } = request;
    const { group, resource, subresource } = of;
    this.#requests.inc({ verb, group, resource, subresource, code });
    if (!request.stream) this.#durations.observe({ verb, group, resource, subresource }, seconds);
  }

  /** The text that Prometheus scrapes. */
  async answer(): Promise<Response> {
    const headers = { "content-type": this.#metrics.contentType };
    return new Response(await this.#metrics.metrics(), { headers });
  }
}

function metricOf({ name, help, read }: Reading): Counter | Gauge {
  if (!name.endsWith("_total")) {
    return new Gauge({ name, help, registers: [], collect: setTo });
  }
  return new Counter({ name, help, registers: [], collect: countTo });

  function setTo(this: Gauge): void {
    this.set(read());
  }
  function countTo(this: Counter): void {
    this.reset();
    this.inc(read());
  }
}
