import { createDistributionApp, createImageReplication, openImageStore } from "../images/index.ts";
import type { ImagePeer, ImageReplication, ImageStore } from "../images/index.ts";
import type { Fetch } from "../lib/index.ts";
import { ANY_SERVER } from "../os/index.ts";
import type { NodeLink } from "../os/index.ts";
import type { Store } from "../store/index.ts";
import type { Ground } from "./ground.ts";
import type { NodeRegistryOptions } from "./node-registry.ts";
import { memberName } from "./peer-access.ts";

/** The images of this server, and what keeps them alike with those of the other servers. */
export interface ServerImages {
  readonly store: ImageStore;
  readonly replication: ImageReplication;
  /** This server and the others, as a node of the cluster finds its images. */
  readonly registry: NodeRegistryOptions;
  /** The registry as other servers may read and write it. */
  readonly forServers: Fetch;
}

/** Opens the image store; names that begin with a server of the cluster are looked for in it. */
export function openServerImages(
  ground: Ground,
  { membership }: Store,
  link: NodeLink,
): ServerImages {
  const { directory, clock, random, logger } = ground;
  const self = String(membership.self);
  const peers = (): readonly ImagePeer[] =>
    membership.members().flatMap(({ id, role, peerAddress }): ImagePeer[] => {
      if (id === membership.self || role === "witness") return [];
      const fetch = link.fetchFrom(peerAddress, { ...ANY_SERVER, commonName: memberName(id) });
      return [{ name: String(id), fetch }];
    });
  const store = openImageStore({
    directory: directory.images,
    clock,
    logger: logger.child({ room: "images" }),
    isOwnHost: (host) =>
      membership.members().some(({ apiAddress }) => apiAddress === `https://${host}`),
    clusterSources: () => peers().map(({ fetch }) => fetch),
  });
  const replication = createImageReplication({
    images: store,
    self,
    peers,
    clock,
    random,
    logger: logger.child({ room: "images" }),
  });
  const distribution = createDistributionApp({ images: store, authorize: () => "allow" });
  const forServers: Fetch = async (request) => distribution.fetch(request);
  const registry: NodeRegistryOptions = {
    sources: () => [forServers, ...peers().map(({ fetch }) => fetch)],
    hosts: () =>
      membership
        .members()
        .flatMap(({ apiAddress }) => /^https:\/\/(.+)$/.exec(apiAddress)?.[1] ?? []),
  };
  return { store, replication, registry, forServers };
}
