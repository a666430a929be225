import type { Socket, SocketHandler } from "bun";
import type { Fetch } from "../../lib/index.ts";
import type { KeyPair } from "../certificates.ts";

/** Who is at the other end, as its certificate says; the cluster's authority signed it. */
export interface PeerIdentity {
  /** `kubun:member:ID` of a server, `system:node:NAME` of a node. */
  readonly commonName: string;
  /** {@link SERVERS_GROUP} or {@link NODES_GROUP}. */
  readonly organizations: readonly string[];
}

/** Whom a caller means to reach; anybody else at that address is refused. */
export interface PeerExpectation {
  readonly commonName?: string;
  /** The peer has to be in one of these. */
  readonly organizations: readonly string[];
  /**
   * The node behind the address: of worker nodes only this one is meant. A server's node is known
   * by the server's certificate, which does not name it.
   */
  readonly nodeName?: string;
}

/**
 * Every peer's certificate has this name, so that addresses may change; who the peer is, its common
 * name and organization say.
 */
export const PEER_SERVER_NAME = "peer.kubun.internal";
export const SERVERS_GROUP = "kubun:servers";
export const NODES_GROUP = "system:nodes";

export const ANY_PEER: PeerExpectation = { organizations: [SERVERS_GROUP, NODES_GROUP] };
export const ANY_SERVER: PeerExpectation = { organizations: [SERVERS_GROUP] };

/** Whoever runs this node: at its address no other node is believed. */
export function hostOfNode(nodeName: string): PeerExpectation {
  return { ...ANY_PEER, nodeName };
}

/** A pod's port on the node that is dialled. */
export interface TunnelTarget {
  readonly ip: string;
  readonly port: number;
}

/**
 * Answers with the Unix socket behind a pod's port, with the target itself where it is to be
 * dialled as it is, or undefined when no such pod runs here.
 */
export type TunnelHandler = (
  target: TunnelTarget,
  peer: PeerIdentity,
) => string | TunnelTarget | undefined;

export type PeerHttpHandler = (request: Request, peer: PeerIdentity) => Promise<Response>;

/**
 * Joins this connection to a pod's port on another node; shaped like `Bun.connect`, so that its
 * socket is used as any other. `handler.open` is called once the endpoint took the connection; a
 * failure before is told by `handler.connectError`, whose socket has `data` and nothing else that
 * may be used. `data` is on the socket before its first event.
 */
export type DialTunnel = <Data>(
  address: string,
  target: TunnelTarget,
  data: Data,
  handler: SocketHandler<Data>,
  expect: PeerExpectation,
) => void;

/** HTTP and tunnels between the processes of a cluster, over mutual TLS; bound when created. */
export interface NodeLink {
  /** Where it listens. */
  readonly port: number;
  /**
   * Requests of verified peers: bodies stream both ways, `request.signal` aborts when the peer
   * leaves. The URL is `http://peer` with the caller's path and query.
   */
  serveHttp(handler: PeerHttpHandler): void;
  serveTunnel(handler: TunnelHandler): void;
  /**
   * A fetch to "host:port" over kept connections; the request's own host is ignored. Rejects with
   * {@link PeerError}, or with the request signal's reason; `error.delivered` says whether the
   * request may have reached the peer.
   */
  fetchFrom(address: string, expect: PeerExpectation): Fetch;
  readonly dialTunnel: DialTunnel;
  /**
   * Lets in only whom `isKnown` knows, beyond what certificates say: they outlive the nodes they
   * were made for. Asked at each connection for requests or a tunnel; messages and states between
   * members are for their group to judge. Calling what it gives asks again of those that are open:
   * the connections of others end.
   */
  admitOnly(isKnown: (peer: PeerIdentity) => boolean): () => void;
  /**
   * Shows this certificate of the same holder to whoever comes, and to whom it dials, from now on.
   * What is open stays open.
   */
  show(keyPair: KeyPair): void;
  close(): Promise<void>;
}

/** The connection for the handler of `dialTunnel`. */
export type TunnelSocket<Data> = Socket<Data>;
