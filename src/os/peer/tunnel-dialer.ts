import type { Socket, SocketHandler } from "bun";
import type { PeerExpectation, TunnelTarget } from "./node-link.ts";
import type { Dialled, PeerDialer } from "./peer-dialer.ts";
import { PROTOCOL_VERSION } from "./preface.ts";

const KEEP_ALIVE_AFTER_MS = 15_000;

/** Opens tunnels and hands their sockets over: nothing of ours is between them and their user. */
export class TunnelDialer {
  readonly #dialer: PeerDialer;
  readonly #clusterId: string;

  constructor(dialer: PeerDialer, clusterId: string) {
    this.#dialer = dialer;
    this.#clusterId = clusterId;
  }

  dial<Data>(
    address: string,
    target: TunnelTarget,
    data: Data,
    handler: SocketHandler<Data>,
    expect: PeerExpectation,
  ): void {
    this.#dialer.dial({
      address,
      expect,
      preface: {
        protocol: "tunnel",
        version: PROTOCOL_VERSION,
        cluster: this.#clusterId,
        ip: target.ip,
        port: target.port,
      },
      onDialled: (dialled) => handOver(dialled, data, handler),
      onFailure: (error) => {
        // As with Bun.connect, whose socket is not one yet either when connecting failed.
        const stillborn = { data } as Socket<Data>;
        void handler.connectError?.(stillborn, error);
      },
    });
  }
}

function handOver<Data>(dialled: Dialled, data: Data, handler: SocketHandler<Data>): void {
  const socket = dialled.connection.socket as unknown as Socket<Data>;
  // In this order: reload forgets the data.
  socket.reload({ socket: handler });
  socket.data = data;
  socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS);
  void handler.open?.(socket);
  if (dialled.rest.length > 0) void handler.data?.(socket, dialled.rest);
}
