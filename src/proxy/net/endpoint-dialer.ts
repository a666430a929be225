import type { Socket, SocketHandler } from "bun";
import type { Endpoint } from "../routing/routing-table.ts";

/** Finds the Unix socket behind a pod's port when that pod runs on this node. */
export type EndpointSocket = (ip: string, port: number) => string | undefined;

/**
 * Opens a connection to an endpoint; the handler's `connectError` tells a failure. `data` is on the
 * socket before its first event.
 */
export function dialEndpoint<Data>(
  endpoint: Endpoint,
  endpointSocket: EndpointSocket,
  data: Data,
  handler: SocketHandler<Data>,
): void {
  const unix = endpointSocket(endpoint.ip, endpoint.port);
  const connecting: Promise<Socket<Data>> =
    unix === undefined
      ? Bun.connect({
          hostname: endpoint.ip,
          port: endpoint.port,
          allowHalfOpen: true,
          data,
          socket: handler,
        })
      : Bun.connect({ unix, allowHalfOpen: true, data, socket: handler });
  // Bun tells a failure twice: by the handler's connectError, which acts, and by this promise.
  connecting.catch(() => undefined);
}
