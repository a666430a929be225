import { readFileSync } from "node:fs";
import { CommandError } from "../cli/index.ts";
import type { ServerFlags } from "../cli/index.ts";
import { EtcdError, IdentityError, openEtcdStore, openStore } from "../store/index.ts";
import type { EtcdTls, Member, Store } from "../store/index.ts";
import type { Doors } from "./doors.ts";
import type { Ground } from "./ground.ts";
import { withPorts } from "./member-address.ts";
import { RemovedError } from "./removed-error.ts";
import type { ServerIdentity } from "./server-identity.ts";

/** Opens the store: an external etcd when the flags name one, else this server's own. */
export function openServerStore(
  flags: ServerFlags,
  ground: Ground,
  identity: ServerIdentity,
  doors: Doors,
  onFailed: (error: Error) => void,
): Promise<Store> {
  if (flags.datastoreEndpoint === undefined) {
    return openMember(ground, identity, doors, onFailed);
  }
  const { clock, random, logger } = ground;
  return openEtcdStore({
    clusterId: identity.clusterId,
    endpoints: flags.datastoreEndpoint,
    tls: readDatastoreKeys(flags),
    clock,
    random,
    logger: logger.child({ room: "store" }),
    self: describeSelf(ground, identity, doors),
  }).catch((error: unknown) => {
    if (error instanceof EtcdError) {
      const endpoints = flags.datastoreEndpoint?.join(",");
      throw new CommandError(`--datastore-endpoint ${endpoints}: ${error.message}`);
    }
    return asCommandError(error);
  });
}

function readDatastoreKeys(flags: ServerFlags): EtcdTls {
  const read = (name: keyof EtcdTls, path: string | undefined): EtcdTls =>
    path === undefined ? {} : { [name]: readFileSync(path, "utf8") };
  return {
    ...read("ca", flags.datastoreCafile),
    ...read("certificate", flags.datastoreCertfile),
    ...read("privateKey", flags.datastoreKeyfile),
  };
}

/**
 * Opens the store as a member of its group. `onFailed` is told when the server has to end, and why.
 * Throws a CommandError for a directory that must not take part.
 */
async function openMember(
  ground: Ground,
  identity: ServerIdentity,
  doors: Doors,
  onFailed: (error: Error) => void,
): Promise<Store> {
  const { directory, disk, clock, random, logger } = ground;
  try {
    return await openStore({
      directory: directory.store,
      disk,
      clock,
      random,
      logger: logger.child({ room: "store" }),
      onFatal: (error) => onFailed(new Error(`the state can be written no more: ${error.message}`)),
      group: {
        self: describeSelf(ground, identity, doors),
        clusterId: identity.clusterId,
        transport: doors.peers,
        start: identity.start,
        onRemoved: () => onFailed(new RemovedError(identity.memberId)),
      },
    });
  } catch (error) {
    return asCommandError(error);
  }
}

/** A directory that must not take part is told about in words; anything else is thrown on. */
export function asCommandError(error: unknown): never {
  if (error instanceof IdentityError) throw new CommandError(error.message);
  throw error;
}

/** As the others are told; one that joined is known by the hosts that it said then. */
function describeSelf(ground: Ground, identity: ServerIdentity, doors: Doors): Member {
  const { joined, memberId } = identity;
  if (joined !== undefined && joined.self.id === memberId) {
    return withPorts(joined.self, { peer: doors.peers.port, api: doors.api.port });
  }
  const { nodeName, advertiseAddress, peerHost } = ground;
  return {
    id: memberId,
    name: nodeName,
    role: "voter",
    peerAddress: `${peerHost}:${doors.peers.port}`,
    apiAddress: `https://${advertiseAddress}:${doors.api.port}`,
  };
}
