import type { SocketHandler } from "bun";

/** A pod's port as its own node knows it. */
export interface TunnelTarget {
  readonly ip: string;
  readonly port: number;
}

/** Reaches pods of other nodes, by mutual TLS between the nodes. */
export interface RemoteDialer {
  /**
   * Joins a connection to a pod's port; `address` is the peer address of the pod's node,
   * "host:port". Shaped like `Bun.connect`: `handler.open` tells that the pod took the connection,
   * `handler.connectError` that nothing did and no byte was passed on; `data` is on the socket
   * before its first event. Whoever answers there has to be `node`.
   */
  dialTunnel<Data>(
    address: string,
    target: TunnelTarget,
    data: Data,
    handler: SocketHandler<Data>,
    node: string,
  ): void;
}
