import { type Context, Hono } from "hono";
import type { Pod } from "../api/index.ts";
import { parseRfc3339 } from "../apimachinery/index.ts";
import type { Clock } from "../lib/index.ts";
import type { ContainerRuntime, ContainerStatus } from "../runtime/index.ts";
import { type LogOptions, streamLog } from "./log-stream.ts";
import { podContainers, recordedStatus } from "./pod-runtime-state.ts";
import { resourceMetrics } from "./resource-metrics.ts";
import type { ResourceUsage } from "./resource-usage.ts";
import { statsSummary } from "./stats-api.ts";
import { addStreamRoutes } from "./stream-api.ts";

export interface HttpApiOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly pods: () => readonly Pod[];
  readonly nodeName: string;
  readonly usage: ResourceUsage;
}

/** The kubelet's own HTTP API; who may call it is decided before a request gets here. */
export function createHttpApi(options: HttpApiOptions): Hono {
  const app = new Hono();
  app.get("/healthz", (context) => context.text("ok"));
  app.get("/pods", (context) =>
    context.json({ kind: "PodList", apiVersion: "v1", metadata: {}, items: options.pods() }),
  );
  app.get("/containerLogs/:namespace/:pod/:container", (context) => serveLog(context, options));
  addStreamRoutes(app, options);
  const { nodeName, pods, usage } = options;
  app.get("/stats/summary", async (context) =>
    context.json(statsSummary(nodeName, pods(), await usage.report())),
  );
  for (const path of ["/metrics", "/metrics/resource"]) {
    app.get(path, async (context) => {
      const text = resourceMetrics(nodeName, pods(), await usage.report());
      return context.text(text, 200, { "content-type": "text/plain; version=0.0.4" });
    });
  }
  return app;
}

async function serveLog(context: Context, options: HttpApiOptions): Promise<Response> {
  const {
    namespace = "",
    pod: podName = "",
    container = "",
  } = context.req.param() as Record<string, string>;
  const pod = options
    .pods()
    .find(({ metadata }) => metadata.namespace === namespace && metadata.name === podName);
  if (pod === undefined) return context.text(`pod "${podName}" not found on this node\n`, 404);
  if (!podContainers(pod).some(({ name }) => name === container)) {
    return context.text(`container ${container} is not valid for pod ${podName}\n`, 400);
  }
  const parsed = parseLogOptions(context.req.query(), options.clock);
  if (typeof parsed === "string") return context.text(`${parsed}\n`, 400);
  const all = await options.runtime.listContainers({ podUid: pod.metadata.uid ?? "" });
  const instances = all
    .filter(({ name, state }) => name === container && state !== "created")
    .sort((a, b) => b.attempt - a.attempt);
  const [newest, before] = instances;
  // One that waits for its next start is the last that ended: `--previous` means it too.
  const waits = newest?.state === "exited" && waitingOf(pod, container) !== undefined;
  const wanted = parsed.previous && !waits ? before : newest;
  if (wanted === undefined) {
    return context.text(`${whyNoLog(pod, container, parsed.previous)}\n`, 400);
  }
  return logResponse(wanted, parsed, context.req.raw.signal, options.runtime);
}

function whyNoLog(pod: Pod, container: string, previous: boolean): string {
  const { name } = pod.metadata;
  if (previous) return `previous terminated container "${container}" in pod "${name}" not found`;
  const reason = waitingOf(pod, container) ?? "ContainerCreating";
  const texts: Readonly<Record<string, string>> = {
    ErrImagePull: "image can't be pulled",
    ImagePullBackOff: "trying and failing to pull image",
  };
  const why = texts[reason] ?? reason;
  return `container "${container}" in pod "${name}" is waiting to start: ${why}`;
}

/** The reason for which a container waits; undefined: it does not. */
function waitingOf(pod: Pod, container: string): string | undefined {
  return recordedStatus(pod, container)?.state?.waiting?.reason;
}

interface LogQuery extends LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
}

/** A text says what is wrong with the query. */
export function parseLogOptions(
  query: Readonly<Record<string, string>>,
  clock: Clock,
): LogQuery | string {
  const numbers: Record<string, number> = {};
  for (const name of ["tailLines", "sinceSeconds", "limitBytes"]) {
    const text = query[name];
    if (text === undefined || text === "") continue;
    const value = Number(text);
    const low = name === "tailLines" ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < low) {
      return `${name}: Invalid value: "${text}": must be an integer of at least ${low}`;
    }
    numbers[name] = value;
  }
  const { tailLines, sinceSeconds, limitBytes } = numbers;
  const sinceTime = query["sinceTime"];
  if (sinceTime !== undefined && sinceSeconds !== undefined) {
    return "at most one of `sinceTime` or `sinceSeconds` may be specified";
  }
  let sinceMs = sinceSeconds === undefined ? undefined : clock.now() - sinceSeconds * 1000;
  if (sinceTime !== undefined && sinceTime !== "") sinceMs = parseRfc3339(sinceTime);
  if (Number.isNaN(sinceMs)) return `sinceTime: Invalid value: "${sinceTime}": must be RFC 3339`;
  const flag = (name: string): boolean => ["true", "1", ""].includes(query[name] ?? "false");
  return {
    follow: flag("follow"),
    previous: flag("previous"),
    timestamps: flag("timestamps"),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
  };
}

function logResponse(
  container: ContainerStatus,
  query: LogQuery,
  requested: AbortSignal,
  runtime: ContainerRuntime,
): Response {
  const abort = new AbortController();
  const signal = AbortSignal.any([requested, abort.signal]);
  const running = container.state === "running";
  const follow = query.follow && running ? { ended: endOf(container.id, runtime, signal) } : null;
  const lines = streamLog(container.logPath, {
    ...query,
    signal,
    ...(follow === null ? { follow: undefined } : { follow }),
  } as Parameters<typeof streamLog>[1]);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await lines.next();
      if (done === true) {
        abort.abort();
        controller.close();
      } else {
        controller.enqueue(value);
      }
    },
    cancel() {
      abort.abort();
    },
  });
  return new Response(body, { headers: { "content-type": "text/plain" } });
}

/** Resolves when the container has ended, or nobody reads any more. */
async function endOf(id: string, runtime: ContainerRuntime, signal: AbortSignal): Promise<void> {
  try {
    const events = runtime.events(signal);
    const { state } = await runtime.containerStatus(id);
    if (state !== "running") return;
    for await (const { containerId, type } of events) {
      if (containerId === id && (type === "stopped" || type === "deleted")) return;
    }
  } catch {
    // The container was removed, or its events came too fast: what is in the file is the end.
    return;
  }
}
