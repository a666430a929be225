import type { ServerFlags } from "../cli/index.ts";
import { newClusterId, newMemberId, readMemberIdentity, resetGroup } from "../store/index.ts";
import type { GroupStart, MemberId } from "../store/index.ts";
import { readSettings, writeSettings } from "./data-directory.ts";
import type { Ground } from "./ground.ts";
import { joinAsServer } from "./join-cluster.ts";
import type { JoinedServer } from "./join-cluster.ts";
import { keepIdentity, portsOf, readJoinRecord, removeJoinRecord } from "./join-record.ts";
import type { ExternalIdentity } from "./join-record.ts";
import type { ClusterSettings, Location } from "./join-wire.ts";
import { decided, portChoices } from "./server-ports.ts";
import type { PortChoices } from "./server-ports.ts";
import { asCommandError } from "./server-store.ts";

/** Who this server is among the servers of its cluster. */
export interface ServerIdentity {
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly start: GroupStart;
  /** Undefined for the one who founded the cluster. */
  readonly joined: JoinedServer | undefined;
  readonly ports: PortChoices;
}

/**
 * Joins a cluster when that is asked for and not done yet; else goes on as who the data directory
 * says, or founds a cluster. Throws a CommandError or UsageError that says what to do.
 */
export async function assumeIdentity(flags: ServerFlags, ground: Ground): Promise<ServerIdentity> {
  const { directory, disk, random, settings } = ground;
  if (flags.clusterReset) await resetOnce(ground);
  const known = await readMemberIdentity({ disk, directory: directory.store });
  // What the cluster was told counts until the settings are written, which is after the store.
  const told = portsOf(readJoinRecord(directory));
  const wished = portChoices(flags, { ...told, ...settings });
  // Whoever lets a server in is told where it will listen.
  const ports =
    flags.join !== undefined && known === undefined
      ? {
          ...wished,
          https: decided(flags.bindAddress, wished.https, "--https-port"),
          peer: decided(flags.bindAddress, wished.peer, "--peer-port"),
        }
      : wished;
  const joined = await joinAsServer({
    ...ground,
    join: flags.join,
    token: flags.token,
    name: ground.nodeName,
    witness: flags.witness,
    peer: location(flags, flags.peerAddress, ports.peer.port),
    ...(flags.witness ? {} : { api: location(flags, undefined, ports.https.port) }),
    settings: givenSettings(flags),
  });
  // Ports are kept once a store was opened: without its identity now, the disk lost it.
  const wiped = known === undefined && settings.peerPort !== undefined;
  const founder = (): ExternalIdentity => {
    const fresh = { clusterId: newClusterId(random), memberId: newMemberId(random) };
    return flags.datastoreEndpoint === undefined ? fresh : keepIdentity(directory, fresh);
  };
  const { memberId, clusterId } =
    known ??
    (joined === undefined ? founder() : { memberId: joined.self.id, clusterId: joined.clusterId });
  return {
    memberId,
    clusterId,
    start: startOf(known !== undefined || wiped, joined),
    joined,
    ports,
  };
}

function startOf(isMember: boolean, joined: JoinedServer | undefined): GroupStart {
  if (isMember) return { type: "restart" };
  return joined === undefined ? { type: "bootstrap" } : { type: "join", members: joined.members };
}

/**
 * `--cluster-reset`: makes this server the only member of a new group. Done once: the same flag at
 * a later start finds that there is nothing left to do.
 */
async function resetOnce(ground: Ground): Promise<void> {
  const { directory, disk, logger } = ground;
  const known = await readMemberIdentity({ disk, directory: directory.store });
  const settings = readSettings(directory);
  if (known !== undefined && known.clusterId === settings.resetTo) {
    logger.warn("this server was reset before: start it without --cluster-reset");
    return;
  }
  const { clusterId, memberId, revision } = await resetGroup({
    ...ground,
    directory: directory.store,
  }).catch(asCommandError);
  removeJoinRecord(directory);
  writeSettings(directory, { ...settings, resetTo: clusterId });
  logger.warn("this server is now the only one of its cluster", { memberId, revision });
}

/** Without a host it is where the request comes from. */
function location(flags: ServerFlags, host: string | undefined, port: number): Location {
  const { advertiseAddress, bindAddress } = flags;
  const known = host ?? advertiseAddress ?? (bindAddress === "0.0.0.0" ? undefined : bindAddress);
  return known === undefined ? { port } : { host: known, port };
}

/** Ports of Services when nobody says otherwise, as `kubun server --help` tells. */
const USUAL_NODE_PORTS = { from: 30_000, to: 32_767 };

/** What the user asked for; the cluster refuses to be joined with anything else than it has. */
export function givenSettings(
  flags: Pick<ServerFlags, "clusterCidr" | "serviceCidr" | "serviceNodePortRange">,
): Partial<ClusterSettings> {
  const { clusterCidr, serviceCidr, serviceNodePortRange: ports } = flags;
  const usual = ports.from === USUAL_NODE_PORTS.from && ports.to === USUAL_NODE_PORTS.to;
  return {
    ...(clusterCidr === undefined ? {} : { clusterCidr }),
    ...(serviceCidr === undefined ? {} : { serviceCidr }),
    ...(usual ? {} : { serviceNodePortRange: ports }),
  };
}

/** The flags with what all servers have alike: one that joined took it over from the cluster. */
export function agreedFlags<F extends Pick<ServerFlags, "serviceNodePortRange">>(
  flags: F,
  joined: Pick<JoinedServer, "settings"> | undefined,
): F & Pick<ServerFlags, "serviceNodePortRange"> {
  if (joined === undefined) return flags;
  return { ...flags, serviceNodePortRange: joined.settings.serviceNodePortRange };
}
