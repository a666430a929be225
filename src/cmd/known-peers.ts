import { credentialSecretName, CREDENTIAL_NAMESPACE } from "../apiserver/index.ts";
import { createInformer, NODES, SECRETS } from "../client/index.ts";
import type { Client } from "../client/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { NODES_GROUP, SERVERS_GROUP } from "../os/index.ts";
import type { NodeLink, PeerIdentity } from "../os/index.ts";
import type { PresentObjects } from "../registry/index.ts";
import type { Membership } from "../store/index.ts";
import { memberName } from "./peer-access.ts";

/** What is open of a node that was removed ends within this time. */
export const LOOK_INTERVAL_MS = 5_000;

const NODE_PREFIX = "system:node:";

/**
 * Lets in only peers that are known, and asks again and again of those that are there: a
 * certificate outlives what it was made for.
 */
export async function admitKnownPeers(options: {
  readonly link: Pick<NodeLink, "admitOnly">;
  readonly isKnown: (peer: PeerIdentity) => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { link, isKnown, clock, signal } = options;
  const look = link.admitOnly(isKnown);
  for (;;) {
    await sleep(clock, LOOK_INTERVAL_MS, signal);
    if (signal.aborted) return;
    look();
  }
}

/** Whom a server knows: the members, and nodes that have their Node and their key. */
export function knownToServer(
  membership: Pick<Membership, "members">,
  present: PresentObjects,
): (peer: PeerIdentity) => boolean {
  return (peer) => {
    if (peer.organizations.includes(SERVERS_GROUP)) {
      return membership.members().some(({ id }) => peer.commonName === memberName(id));
    }
    const name = nodeNameOf(peer);
    if (name === undefined || present.find(NODES, "", name) === undefined) return false;
    return present.find(SECRETS, CREDENTIAL_NAMESPACE, credentialSecretName(name)) !== undefined;
  };
}

/**
 * Whom an agent knows: nodes as the API lists them, and everybody until it has once. Servers show
 * that they are, and more an agent is not told; one that was removed had the authority's key.
 */
export function knownToAgent(options: {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): (peer: PeerIdentity) => boolean {
  const nodes = createInformer(options.client, NODES, { ...options, view: "metadata" });
  nodes.start(options.signal);
  return (peer) => {
    if (peer.organizations.includes(SERVERS_GROUP) || !nodes.hasSynced()) return true;
    const name = nodeNameOf(peer);
    return name !== undefined && nodes.lister.get("", name) !== undefined;
  };
}

function nodeNameOf({ commonName, organizations }: PeerIdentity): string | undefined {
  if (!organizations.includes(NODES_GROUP) || !commonName.startsWith(NODE_PREFIX)) return undefined;
  return commonName.slice(NODE_PREFIX.length);
}
