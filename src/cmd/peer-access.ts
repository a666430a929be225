import { ANY_SERVER, hostOfNode } from "../os/index.ts";
import type { NodeLink, PeerIdentity } from "../os/index.ts";
import type { RemoteDialer } from "../proxy/index.ts";
import type { Member, Membership } from "../store/index.ts";
import type { IssuingServer } from "./ask-renewal.ts";

/** What servers ask of the kubelet of another node, such as its pods' logs and streams. */
const KUBELET_PATHS = ["/containerLogs/", "/stats/", "/exec/", "/attach/", "/portForward/"];

export function isKubeletPath(pathname: string): boolean {
  return KUBELET_PATHS.some((prefix) => pathname.startsWith(prefix));
}

/** Whether the authority called it a server once: all that an agent knows of the group. */
export function hasServerCertificate({ organizations }: PeerIdentity): boolean {
  return ANY_SERVER.organizations.some((name) => organizations.includes(name));
}

/**
 * Whether it serves the API with us. A removed server's certificate outlives its membership, and a
 * witness was given none of the cluster's keys: what it says of users and machines counts nothing.
 */
export function isServer(peer: PeerIdentity, membership: Pick<Membership, "members">): boolean {
  if (!hasServerCertificate(peer)) return false;
  return membership
    .members()
    .some(({ id, role }) => role !== "witness" && peer.commonName === memberName(id));
}

/** The common name of a member's certificate. */
export function memberName(id: number): string {
  return `kubun:member:${id}`;
}

/** Those that have the authority's key. */
export function issuersIn(members: readonly Member[]): IssuingServer[] {
  return members
    .filter(({ role }) => role !== "witness")
    .map(({ id, peerAddress }) => ({ id, address: peerAddress }));
}

/** Tunnels to pods of other nodes, each to the very node that the pod is on. */
export function tunnelsOver(link: Pick<NodeLink, "dialTunnel">): RemoteDialer {
  return {
    dialTunnel: (address, target, data, handler, node) =>
      link.dialTunnel(address, target, data, handler, hostOfNode(node)),
  };
}
