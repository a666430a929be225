import type { Socket, SocketHandler } from "bun";
import type { Endpoint } from "../routing/routing-table.ts";
import { dialTls } from "./tls-dial.ts";
import type { RemoteDialer } from "./remote-dialer.ts";

/** Finds the Unix socket behind a pod's port when that pod runs on this node. */
export type EndpointSocket = (ip: string, port: number) => string | undefined;

/** How pods of other nodes are reached. */
export interface RemoteNodes {
  /** This node's name: its own pods need no tunnel. */
  readonly nodeName: string;
  readonly dialer: RemoteDialer;
  /** "host:port" where a node answers the others; undefined while it is not known. */
  peerAddressOf(nodeName: string): string | undefined;
}

export interface EndpointDialOptions {
  readonly endpointSocket: EndpointSocket;
  /** Without it every address that is not of this node is dialled as it is. */
  readonly remote?: RemoteNodes;
}

/**
 * Opens a connection to an endpoint; the handler's `connectError` tells a failure. `data` is on the
 * socket before its first event. `far`: it may take as long as a network lets it.
 */
export type EndpointDial = <Data>(
  endpoint: Endpoint,
  data: Data,
  handler: SocketHandler<Data>,
) => "near" | "far";

/**
 * A pod of this node by its Unix socket, a pod of another one through a tunnel to that node, and
 * anything else (an address outside, the API server) as it is.
 */
export function createEndpointDial(options: EndpointDialOptions): EndpointDial {
  const { endpointSocket, remote } = options;
  return (endpoint, data, handler) => {
    const { ip, port, node, tlsHost } = endpoint;
    const unix = endpointSocket(ip, port);
    if (tlsHost !== undefined) {
      const place = unix === undefined ? { hostname: ip, port } : { unix };
      dialTls(place, tlsHost, data, handler);
      return "far";
    }
    if (unix !== undefined) {
      settled(Bun.connect({ unix, allowHalfOpen: true, data, socket: handler }));
      return "near";
    }
    if (remote !== undefined && node !== undefined && node !== remote.nodeName) {
      const address = remote.peerAddressOf(node);
      // A pod on its machine's own network has that machine's address: it is dialled as it is.
      if (address !== undefined && !address.startsWith(`${ip}:`)) {
        remote.dialer.dialTunnel(address, { ip, port }, data, handler, node);
        return "far";
      }
    }
    settled(Bun.connect({ hostname: ip, port, allowHalfOpen: true, data, socket: handler }));
    return "far";
  };
}

/** Bun tells a failure twice: by the handler's connectError, which acts, and by this promise. */
function settled<Data>(connecting: Promise<Socket<Data>>): void {
  connecting.catch(() => undefined);
}
