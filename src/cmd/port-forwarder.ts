import type { Socket, SocketHandler } from "bun";
import type { Pod } from "../api/index.ts";
import type { PortForwarder } from "../apiserver/index.ts";
import { hostOfNode } from "../os/index.ts";
import type { NodeLink } from "../os/index.ts";
import { PORT_FORWARD_PROTOCOL, servePortForward } from "../proxy/index.ts";
import type { WasiRuntime } from "../runtime/index.ts";
import type { ApiListener } from "./listeners.ts";

export interface PortForwarderOptions {
  readonly nodeName: string;
  readonly listener: Pick<ApiListener, "upgrade">;
  readonly link: Pick<NodeLink, "dialTunnel">;
  readonly runtime: () => Pick<WasiRuntime, "endpoint">;
  /** "host:port" where a node answers the others. */
  readonly peerAddressOf: (nodeName: string) => string | undefined;
}

/**
 * Serves `kubectl port-forward` for pods of every node. Only a pod's own socket is ever dialled, on
 * this node or by a tunnel on its own: an address in a pod's status leads nowhere else.
 */
export function createPortForwarder(options: PortForwarderOptions): PortForwarder {
  return (request, pod) => {
    const upgraded = options.listener.upgrade(request, {
      protocol: PORT_FORWARD_PROTOCOL,
      open: (socket) =>
        servePortForward({
          socket,
          dial: (port, data, handler) => dial(options, pod, port, data, handler),
        }),
    });
    return upgraded ? new Response(null) : undefined;
  };
}

function dial<Data>(
  options: PortForwarderOptions,
  pod: Readonly<Pod>,
  port: number,
  data: Data,
  handler: SocketHandler<Data>,
): void {
  const node = pod.spec?.nodeName ?? "";
  const ip = pod.status?.podIP ?? "";
  if (node === options.nodeName) {
    const unix = options.runtime().endpoint(ip, port);
    if (unix === undefined) return refuse(`the pod has no port ${port}`, data, handler);
    // A failure is told to the handler as well, which acts.
    Bun.connect({ unix, allowHalfOpen: true, data, socket: handler }).catch(() => undefined);
    return;
  }
  const address = options.peerAddressOf(node);
  if (address === undefined) return refuse(`node ${node} cannot be reached`, data, handler);
  options.link.dialTunnel(address, { ip, port }, data, handler, hostOfNode(node));
}

function refuse<Data>(why: string, data: Data, handler: SocketHandler<Data>): void {
  // As after a failed connect: the socket has its data, and nothing else that may be used.
  queueMicrotask(() => void handler.connectError?.({ data } as Socket<Data>, new Error(why)));
}
