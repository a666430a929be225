import type { Context, Hono } from "hono";
import type { Pod } from "../api/index.ts";
import type { Clock } from "../lib/index.ts";
import { RuntimeError } from "../runtime/index.ts";
import type {
  ContainerRuntime,
  RuntimeErrorCode,
  StreamOptions,
  StreamSession,
} from "../runtime/index.ts";
import { serveChannels } from "./channel-session.ts";
import { openPodPort } from "./pod-port.ts";
import { StreamLimits } from "./stream-limits.ts";

export interface StreamApiOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly pods: () => readonly Pod[];
}

const TOO_MANY_REQUESTS = 429;
const MAX_PORT = 65_535;
const STATUS_OF_CODES: Readonly<Partial<Record<RuntimeErrorCode, 400 | 404 | 501>>> = {
  unsupported: 501,
  "not-found": 404,
  "invalid-config": 400,
};

/**
 * `exec`, `attach` and `portForward`: the request's body carries what goes to a program or a port,
 * the answer's what comes from there, both as messages of channels. The end of the request's body
 * means that the client is gone.
 */
export function addStreamRoutes(app: Hono, options: StreamApiOptions): void {
  const limits = new StreamLimits();
  app.post("/exec/:namespace/:pod/:uid/:container", (context) =>
    serve(context, options, limits, (pod) => openProgram(context, options, pod, "exec")),
  );
  app.post("/attach/:namespace/:pod/:uid/:container", (context) =>
    serve(context, options, limits, (pod) => openProgram(context, options, pod, "attach")),
  );
  app.post("/portForward/:namespace/:pod/:uid", (context) =>
    serve(context, options, limits, (pod) => {
      const port = Number(context.req.query("port"));
      if (!Number.isInteger(port) || port < 1 || port > MAX_PORT) {
        throw new RuntimeError("invalid-config", `port ${context.req.query("port")}: 1 to 65535`);
      }
      return openPodPort(options.runtime, pod, port);
    }),
  );
}

async function serve(
  context: Context,
  options: StreamApiOptions,
  limits: StreamLimits,
  open: (pod: Pod) => Promise<StreamSession>,
): Promise<Response> {
  const { namespace, pod: name, uid = "" } = context.req.param() as Record<string, string>;
  const pod = options
    .pods()
    .find(
      ({ metadata }) =>
        metadata.namespace === namespace && metadata.name === name && metadata.uid === uid,
    );
  if (pod === undefined) return context.text("pod does not exist\n", 404);
  const taken = limits.take(uid);
  if (typeof taken === "string") return context.text(`${taken}\n`, TOO_MANY_REQUESTS);
  try {
    const session = await open(pod);
    const { body, signal } = context.req.raw;
    const output = serveChannels(session, {
      input: body,
      signal,
      clock: options.clock,
      onOver: taken.release,
    });
    return new Response(output, { headers: { "content-type": "application/octet-stream" } });
  } catch (error) {
    taken.release();
    return refusal(context, error);
  }
}

function refusal(context: Context, error: unknown): Response {
  const text = `${error instanceof Error ? error.message : String(error)}\n`;
  if (!(error instanceof RuntimeError)) return context.text(text, 500);
  return context.text(text, STATUS_OF_CODES[error.code] ?? 500);
}

async function openProgram(
  context: Context,
  { runtime }: StreamApiOptions,
  pod: Pod,
  verb: "exec" | "attach",
): Promise<StreamSession> {
  const { container = "" } = context.req.param() as Record<string, string>;
  const query = new URL(context.req.url).searchParams;
  const wants = (name: string): boolean => query.get(name) === "1";
  const streams: StreamOptions = {
    stdin: wants("input"),
    stdout: wants("output"),
    stderr: wants("error"),
    tty: wants("tty"),
  };
  const all = await runtime.listContainers({ podUid: pod.metadata.uid ?? "" });
  const running = all
    .filter(({ name, state }) => name === container && state === "running")
    .toSorted((a, b) => b.attempt - a.attempt)[0];
  if (running === undefined) {
    throw new RuntimeError("not-found", `container not found (${JSON.stringify(container)})`);
  }
  if (verb === "attach") return runtime.attach(running.id, streams);
  return runtime.exec(running.id, { ...streams, command: query.getAll("command") });
}
