import type { Container, HTTPGetAction, Probe, TCPSocketAction } from "../api/index.ts";
import type { Clock } from "../lib/index.ts";
import { dialFailure } from "./dial-failure.ts";
import type { RunCommand } from "./exec-action.ts";
import { checkHealth } from "./grpc-health.ts";

export interface ProbeTarget {
  readonly podIp: string;
  readonly container: Container;
  /** The Unix socket of a port of the pod; undefined: dial the address. */
  readonly endpoint: (ip: string, port: number) => string | undefined;
  readonly run: RunCommand;
}

export type ProbeOutcome =
  | { readonly success: true }
  | { readonly success: false; readonly message: string; readonly timedOut?: true }
  /** The runtime can never ask this. */
  | { readonly success: "unsupported" }
  /** This process was too busy to notice an answer in time: nothing is known. */
  | { readonly success: "unknown" };

type ProbeAction = Pick<Probe, "exec" | "httpGet" | "tcpSocket" | "grpc">;

const SUCCESS: ProbeOutcome = { success: true };
/**
 * A timeout that is noticed later than this was not the container's alone. Were it counted, a
 * machine on which hundreds of pods start at once would end those that run, and start them again.
 */
export const LATE_MS = 250;

/** Asks a container once. Never rejects: what goes wrong is the outcome. */
export async function runProbe(
  action: ProbeAction,
  target: ProbeTarget,
  options: { readonly clock: Clock; readonly timeoutMs: number },
): Promise<ProbeOutcome> {
  const abort = new AbortController();
  const { clock, timeoutMs } = options;
  const lateMs = clock.monotonic() + timeoutMs + LATE_MS;
  let cancel: () => void = () => undefined;
  const timeout = new Promise<ProbeOutcome>((resolve) => {
    cancel = clock.after(timeoutMs, () => {
      const isLate = clock.monotonic() > lateMs;
      const message = timeoutText(action, timeoutMs);
      resolve(isLate ? { success: "unknown" } : { success: false, message, timedOut: true });
      abort.abort();
    });
  });
  try {
    if (action.exec !== undefined) {
      const answer = askCommand(action.exec.command ?? [], target, timeoutMs);
      return await Promise.race([answer, timeout]);
    }
    return await Promise.race([ask(action, target, abort.signal), timeout]);
  } catch (error) {
    return { success: false, message: (error as Error).message };
  } finally {
    cancel();
  }
}

async function askCommand(
  command: readonly string[],
  { run }: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const ended = await run(command, { timeoutMs });
  switch (ended.type) {
    case "exited":
      return ended.exitCode === 0 ? SUCCESS : { success: false, message: ended.output };
    case "timed-out":
      return { success: false, message: commandTimeout(command, timeoutMs), timedOut: true };
    case "unsupported":
      return { success: "unsupported" };
    case "failed":
      return { success: false, message: ended.message };
  }
}

function commandTimeout(command: readonly string[], timeoutMs: number): string {
  return `command timed out: "${command.join(" ")}" timed out after ${timeoutMs / 1000}s`;
}

function ask(
  { httpGet, grpc, tcpSocket }: ProbeAction,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  if (httpGet !== undefined) return getOnce(httpGet, target, signal);
  if (grpc !== undefined) return checkHealth(grpc, target, signal);
  if (tcpSocket !== undefined) return connectOnce(tcpSocket, target, signal);
  throw new Error("this kind of probe is not supported");
}

function timeoutText(action: ProbeAction, timeoutMs: number): string {
  if (action.exec !== undefined) return commandTimeout(action.exec.command ?? [], timeoutMs);
  if (action.grpc !== undefined) return "timeout: health rpc did not complete in time";
  return action.httpGet === undefined
    ? "i/o timeout"
    : "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
}

async function getOnce(
  get: HTTPGetAction,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const port = portOf(get.port, target.container);
  const scheme = (get.scheme ?? "HTTP").toLowerCase();
  const ip = get.host ?? target.podIp;
  const path = get.path ?? "/";
  const url = `${scheme}://${ip}:${port}${path.startsWith("/") ? path : `/${path}`}`;
  const headers = new Headers({ "user-agent": "kube-probe/1.36", accept: "*/*" });
  for (const { name, value } of get.httpHeaders ?? []) headers.set(name, value);
  // A guest may serve one connection at a time: a kept-alive probe would lock everybody out.
  headers.set("connection", "close");
  const unix = get.host === undefined ? target.endpoint(ip, port) : undefined;
  let response: Response;
  try {
    response = await fetch(url, {
      headers,
      signal,
      redirect: "manual",
      keepalive: false,
      ...(unix === undefined ? {} : { unix }),
      ...(scheme === "https" ? { tls: { rejectUnauthorized: false } } : {}),
    });
  } catch (error) {
    const why = dialFailure(error);
    return { success: false, message: `Get "${url}": dial tcp ${ip}:${port}: ${why}` };
  }
  void response.body?.cancel().catch(() => undefined);
  if (response.status >= 200 && response.status < 400) return SUCCESS;
  return { success: false, message: `HTTP probe failed with statuscode: ${response.status}` };
}

async function connectOnce(
  tcpSocket: TCPSocketAction,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const port = portOf(tcpSocket.port, target.container);
  const hostname = tcpSocket.host ?? target.podIp;
  const unix = tcpSocket.host === undefined ? target.endpoint(hostname, port) : undefined;
  const handlers = { data: () => undefined, error: () => undefined };
  try {
    const socket = await (unix === undefined
      ? Bun.connect({ hostname, port, socket: handlers })
      : Bun.connect({ unix, socket: handlers }));
    // The timeout may have passed while it connected; either way nothing is said on it.
    socket.end();
    return signal.aborted ? { success: false, message: "i/o timeout" } : SUCCESS;
  } catch (error) {
    return { success: false, message: `dial tcp ${hostname}:${port}: ${dialFailure(error)}` };
  }
}

function portOf(port: number | string, container: Container): number {
  if (typeof port === "number") return port;
  const named = (container.ports ?? []).find(({ name }) => name === port)?.containerPort;
  const found = named ?? (/^\d+$/.test(port) ? Number(port) : undefined);
  if (found === undefined) throw new Error(`couldn't find port name "${port}"`);
  return found;
}
