import type { InstanceContext, Interfaces } from "../instance-context.ts";
import type { IoError } from "../io/io-failure.ts";
import { IncomingDatagramStream, OutgoingDatagramStream } from "./datagram-streams.ts";
import type { AddressFamily } from "./ip-address.ts";
import { resolveAddresses, ResolveAddressStream } from "./name-lookup.ts";
import { Network, SocketContext } from "./network.ts";
import { TcpSocket } from "./tcp-socket.ts";
import { UdpSocket } from "./udp-socket.ts";

/** The interfaces of wasi:sockets. */
export function socketInterfaces(context: InstanceContext): Interfaces {
  const sockets = new SocketContext(context);
  return {
    "wasi:sockets/network": { Network, networkErrorCode },
    "wasi:sockets/instance-network": {
      instanceNetwork: () => new Network(context.scope),
      Network,
    },
    "wasi:sockets/ip-name-lookup": {
      resolveAddresses: resolveAddresses(context),
      ResolveAddressStream,
    },
    "wasi:sockets/tcp": { TcpSocket },
    "wasi:sockets/tcp-create-socket": {
      createTcpSocket: (family: AddressFamily) => new TcpSocket(sockets, family),
      TcpSocket,
    },
    "wasi:sockets/udp": { UdpSocket, IncomingDatagramStream, OutgoingDatagramStream },
    "wasi:sockets/udp-create-socket": {
      createUdpSocket: (family: AddressFamily) => new UdpSocket(sockets, family),
      UdpSocket,
    },
  };
}

function networkErrorCode({ failure }: IoError): string | undefined {
  return failure.kind === "network" ? failure.code : undefined;
}
