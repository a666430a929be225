import type { ServerFlags } from "../cli/index.ts";
import type { ClaimedRanges, KeyPair, NodeLink } from "../os/index.ts";
import type { PeerTransport } from "../store/index.ts";
import { ensureCredentials, ensurePeerIdentity, serverNames } from "./credentials.ts";
import type { Credentials } from "./credentials.ts";
import type { Ground } from "./ground.ts";
import { listenForApi } from "./listeners.ts";
import type { ApiListener } from "./listeners.ts";
import { listenForPeers } from "./peer-listener.ts";
import type { ServerIdentity } from "./server-identity.ts";

/** Where others come in: clients at one port, the cluster's other machines at another. */
export interface Doors {
  readonly credentials: Credentials;
  /** What the API's certificate covers. */
  readonly names: readonly string[];
  /** This server among the others, at its start. */
  readonly peerIdentity: KeyPair;
  readonly api: ApiListener;
  /** One listener carries the log's messages and everything else between machines. */
  readonly peers: PeerTransport & NodeLink;
}

/** Makes or reads the server's keys and listens, answering nothing yet. */
export async function openDoors(
  flags: ServerFlags,
  ground: Ground,
  identity: ServerIdentity,
  ranges: ClaimedRanges,
  { sharesPorts }: { readonly sharesPorts: boolean },
): Promise<Doors> {
  const { directory, clock, advertiseAddress } = ground;
  const { memberId, clusterId, ports } = identity;
  const names = serverNames({
    bindAddress: flags.bindAddress,
    advertiseAddress,
    kubernetesServiceIp: firstAddress(ranges.serviceCidr),
    additional: flags.tlsSan,
  });
  const wanted = { nowMs: clock.now(), lifetimeMs: flags.clusterSigningDurationMs };
  const credentials = await ensureCredentials(directory, { names, ...wanted });
  const { ca } = credentials;
  const peerIdentity = await ensurePeerIdentity(directory, ca, { memberId, ...wanted });
  const hostname = flags.bindAddress;
  const api = listenForApi({
    hostname,
    choice: ports.https,
    keys: credentials.server,
    clientAuthority: ca.certificate,
    clock,
    sharesPort: sharesPorts,
  });
  const own = { memberId, clusterId, keyPair: peerIdentity, ca: ca.certificate };
  const peers = listenForPeers(ground, { hostname, choice: ports.peer }, own);
  return { credentials, names, peerIdentity, api, peers };
}

/** "127.43.0.0/16" → "127.43.0.1": where the `kubernetes` Service stands. */
function firstAddress(cidr: string): string {
  const [base] = cidr.split("/");
  const octets = (base ?? "").split(".").map(Number);
  return [...octets.slice(0, 3), (octets[3] ?? 0) + 1].join(".");
}
