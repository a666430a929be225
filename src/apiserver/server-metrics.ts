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
/** The text format's version that every Prometheus reads. */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const NOTHING = { group: "", resource: "", subresource: "" };

/** Requests with the same labels. */
interface Series {
  /** By HTTP code. */
  readonly counts: Map<number, number>;
  /** How many took as long as the bucket of that place, and longer than the one before. */
  readonly buckets: number[];
  seconds: number;
}

/**
 * What /metrics tells: this server's requests under Kubernetes' names, and other rooms' readings.
 * The text is written here: a client library for it takes 5 MiB of every server, read or not.
 */
export class ServerMetrics {
  readonly #readings: readonly Reading[];
  readonly #series = new Map<string, Series>();

  constructor(readings: readonly Reading[]) {
    this.#readings = readings;
  }

  /** As many series are kept as there are verbs and resources: both are known ones. */
  served({ verb, code, seconds, of = NOTHING, stream }: ServedRequest): void {
    const { group, resource, subresource } = of;
    const kind = `group="${group}",resource="${resource}",subresource="${subresource}"`;
    const labels = `verb="${verb}",${kind}`;
    const series = this.#series.get(labels) ?? newSeries();
    this.#series.set(labels, series);
    series.counts.set(code, (series.counts.get(code) ?? 0) + 1);
    if (stream) return;
    const place = DURATION_BUCKETS.findIndex((bucket) => seconds <= bucket);
    const index = place === -1 ? DURATION_BUCKETS.length : place;
    series.buckets[index] = (series.buckets[index] ?? 0) + 1;
    series.seconds += seconds;
  }

  /** The text that Prometheus scrapes. */
  answer(): Response {
    const lines = [
      ...heading("apiserver_request_total", "counter", "Requests answered."),
      ...[...this.#series].flatMap(([labels, { counts }]) =>
        [...counts].map(([code, count]) => {
          return `apiserver_request_total{${labels},code="${code}"} ${count}`;
        }),
      ),
      ...heading(DURATION, "histogram", "How long answers took, without watches and logs."),
      ...[...this.#series].flatMap(([labels, series]) => histogramLines(labels, series)),
      ...this.#readings.flatMap(({ name, help, read }) => {
        const type = name.endsWith("_total") ? "counter" : "gauge";
        return [...heading(name, type, help), `${name} ${read()}`];
      }),
    ];
    const headers = { "content-type": CONTENT_TYPE };
    return new Response(`${lines.join("\n")}\n`, { headers });
  }
}

const DURATION = "apiserver_request_duration_seconds";

function newSeries(): Series {
  const buckets = Array.from({ length: DURATION_BUCKETS.length + 1 }, () => 0);
  return { counts: new Map(), buckets, seconds: 0 };
}

/** A bucket counts what took no longer, so each holds those before it. */
function histogramLines(labels: string, { buckets, seconds }: Series): string[] {
  let sum = 0;
  const lines = buckets.map((count, index) => {
    sum += count;
    return `${DURATION}_bucket{${labels},le="${DURATION_BUCKETS[index] ?? "+Inf"}"} ${sum}`;
  });
  if (sum === 0) return [];
  return [...lines, `${DURATION}_sum{${labels}} ${seconds}`, `${DURATION}_count{${labels}} ${sum}`];
}

function heading(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}
