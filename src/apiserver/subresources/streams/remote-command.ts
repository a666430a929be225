import type { Pod } from "../../../api/index.ts";
import { badRequest } from "../../../apimachinery/index.ts";
import type { Clock } from "../../../lib/index.ts";
import type { ApiRequest } from "../../api-request.ts";
import { flagOf } from "../../query-options.ts";
import { chooseContainer } from "../pod-log.ts";
import {
  agreedProtocol,
  type ConnectionUpgrader,
  takeOverForSpdy,
  upgradedAnswer,
  wantedUpgrade,
} from "./connection-upgrade.ts";
import { openNodeStream, type NodeStream } from "./node-stream.ts";
import { serveSpdyChannels, SPDY_CHANNEL_PROTOCOLS } from "./spdy-channels.ts";
import { CHANNEL_PROTOCOLS, serveWebSocketChannels } from "./websocket-channels.ts";

interface WantedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/**
 * `pods/exec` and `pods/attach`: joins the client, by WebSocket or SPDY, to a program on the pod's
 * node. What can be refused is refused before the connection changes its protocol, as a Status.
 */
export async function remoteCommand(
  api: ApiRequest,
  upgrader: ConnectionUpgrader,
): Promise<Response> {
  const { request, target, namespace, context, query } = api;
  const stored = await api.resource.get(namespace, target.name);
  const pod = stored.object as Pod;
  const container = chooseContainer(pod, query.get("container") ?? "");
  const streams = wantedStreams(query);
  const command = query.getAll("command");
  if (target.subresource === "exec" && command.length === 0) {
    throw badRequest("you must specify at least one command for the container");
  }
  const wanted = wantedUpgrade(request);
  const spdy = wanted.type === "spdy";
  const protocol = agreedProtocol(
    wanted.offered,
    spdy ? SPDY_CHANNEL_PROTOCOLS : CHANNEL_PROTOCOLS,
  );
  assertRunning(pod, target.subresource);
  const node = await openNodeStream(context, {
    node: pod.spec?.nodeName ?? "",
    path: nodePath(target.subresource, pod, container, { ...streams, command }),
    what: `pods/${target.subresource}`,
  });
  try {
    if (spdy) {
      const options = { ...streams, clock: context.clock };
      return takeOverForSpdy(upgrader, request, {
        protocol,
        open: (socket) => serveSpdyChannels(socket, node, options),
      });
    }
    return upgradedAnswer(upgradeTo(protocol, { upgrader, request, node, clock: context.clock }));
  } catch (error) {
    node.close();
    throw error;
  }
}

function upgradeTo(
  protocol: string,
  given: {
    readonly upgrader: ConnectionUpgrader;
    readonly request: Request;
    readonly node: NodeStream;
    readonly clock: Clock;
  },
): boolean {
  const { upgrader, request, node, clock } = given;
  return upgrader.upgrade(request, {
    protocol,
    open: (socket) => serveWebSocketChannels(socket, node, { protocol, clock }),
  });
}

/** A terminal has no second output. Throws 400 when nothing is wanted. */
function wantedStreams(query: URLSearchParams): WantedStreams {
  const tty = flagOf(query, "tty") ?? false;
  const stdin = flagOf(query, "stdin") ?? false;
  const stdout = flagOf(query, "stdout") ?? true;
  const stderr = !tty && (flagOf(query, "stderr") ?? true);
  if (!stdin && !stdout && !stderr) {
    throw badRequest("you must specify at least 1 of stdin, stdout, stderr");
  }
  return { stdin, stdout, stderr, tty };
}

function assertRunning({ metadata, spec, status }: Pod, subresource: string): void {
  if ((spec?.nodeName ?? "") === "") {
    throw badRequest(`pod ${metadata.name ?? ""} does not have a host assigned`);
  }
  const phase = status?.phase ?? "Unknown";
  if (phase === "Succeeded" || phase === "Failed") {
    const what = subresource === "exec" ? "exec into" : "attach";
    throw badRequest(`cannot ${what} a container in a completed pod; current phase is ${phase}`);
  }
}

/** As kubelets have these paths. */
function nodePath(
  subresource: string,
  { metadata }: Pod,
  container: string,
  wanted: WantedStreams & { readonly command: readonly string[] },
): string {
  const { namespace = "", name = "", uid = "" } = metadata;
  const words = [subresource, namespace, name, uid, container].map(encodeURIComponent);
  const query = new URLSearchParams(wanted.command.map((word) => ["command", word]));
  const flags = [
    ["input", wanted.stdin],
    ["output", wanted.stdout],
    ["error", wanted.stderr],
    ["tty", wanted.tty],
  ] as const;
  for (const [flag, on] of flags) if (on) query.set(flag, "1");
  return `/${words.join("/")}?${query.toString()}`;
}
