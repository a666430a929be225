import type { ServerFlags } from "../cli/index.ts";
import {
  claimLoopbackRanges,
  claimRealRanges,
  closeLocalRanges,
  createNetworkCommands,
  isLoopbackRange,
  openLocalRanges,
} from "../os/index.ts";
import type { AddressRanges, ClaimedRanges } from "../os/index.ts";
import { closeBridgeNetworks } from "../runtime/index.ts";
import { readSettings } from "./data-directory.ts";
import type { DataDirectory, Settings } from "./data-directory.ts";
import type { Ground } from "./ground.ts";

/** The kernel takes 15 characters for the name of a device. */
const DEVICE_HASH_LENGTH = 8;

/** The bridge of a node's containers, over which the routes of its cluster's ranges stand too. */
export function bridgeOf({ path }: Pick<DataDirectory, "path">): string {
  const hash = new Bun.CryptoHasher("sha256").update(path).digest("hex");
  return `kubun-${hash.slice(0, DEVICE_HASH_LENGTH)}`;
}

/**
 * Takes the addresses of pods and Services: those of the cluster that was joined, those of the
 * flags, the former, or free ones. A founder claims them on its machine for all of its cluster.
 */
export async function chooseRanges(
  flags: Pick<ServerFlags, "clusterCidr" | "serviceCidr" | "containerRuntimeEndpoint">,
  ground: Pick<Ground, "settings" | "logger" | "directory">,
  joined: AddressRanges | undefined,
): Promise<ClaimedRanges> {
  const { settings, logger } = ground;
  const { clusterCidr, serviceCidr } = flags;
  const former = rangesIn(settings);
  if (joined !== undefined) return useRanges(joined, ground);
  if (settings.shared === true && former !== undefined) return useRanges(former, ground);
  if (clusterCidr !== undefined && serviceCidr !== undefined) {
    return useRanges({ clusterCidr, serviceCidr }, ground);
  }
  const claimed = (await claimReal(flags, ground, former)) ?? claimLoopbackRanges(former);
  if (former !== undefined && former.serviceCidr !== claimed.serviceCidr) {
    logger.warn("another cluster took this one's address ranges: new addresses are of others", {
      former,
      now: { clusterCidr: claimed.clusterCidr, serviceCidr: claimed.serviceCidr },
    });
  }
  return {
    clusterCidr: clusterCidr ?? claimed.clusterCidr,
    serviceCidr: serviceCidr ?? claimed.serviceCidr,
    release: () => claimed.release(),
  };
}

/** Takes ranges that others chose, and makes them this machine's own as far as it lets us. */
export async function useRanges(
  { clusterCidr, serviceCidr }: AddressRanges,
  { directory, logger }: Pick<Ground, "directory" | "logger">,
): Promise<ClaimedRanges> {
  const ranges = { clusterCidr, serviceCidr };
  const real = [clusterCidr, serviceCidr].filter((range) => !isLoopbackRange(range));
  if (real.length > 0) {
    const commands = createNetworkCommands();
    const obstacle =
      commands.obstacle() ??
      (await openLocalRanges(commands, bridgeOf(directory), ranges).catch(String));
    if (obstacle !== undefined) {
      const what = "the cluster's addresses are not this machine's: it cannot listen on them";
      logger.warn(what, { ranges: real, why: obstacle });
    }
  }
  return { ...ranges, release: () => undefined };
}

/** Where modules get their addresses: containers have a part of a range that leads to them. */
export function addressesOfModules(directory: DataDirectory): {
  readonly addresses?: "modules";
} {
  const { clusterCidr } = readSettings(directory);
  return clusterCidr === undefined || isLoopbackRange(clusterCidr) ? {} : { addresses: "modules" };
}

/** Gives the machine its network back, once the pods of this data directory are gone. */
export async function leaveRanges(directory: Pick<DataDirectory, "path">): Promise<void> {
  const commands = createNetworkCommands();
  if (commands.obstacle() !== undefined) return;
  const bridge = bridgeOf(directory);
  const links = (await commands.ipJson(["link", "show"])) as { readonly ifname?: string }[];
  if (!links.some(({ ifname }) => ifname === bridge)) return;
  await closeBridgeNetworks(commands, bridge);
  await closeLocalRanges(commands, bridge);
}

/**
 * Containers need addresses that lead out of a network namespace, as those of 127.0.0.0/8 never
 * do. A cluster that was founded without containers keeps the addresses it has.
 */
async function claimReal(
  flags: Pick<ServerFlags, "clusterCidr" | "serviceCidr" | "containerRuntimeEndpoint">,
  { directory, logger }: Pick<Ground, "directory" | "logger">,
  former: AddressRanges | undefined,
): Promise<ClaimedRanges | undefined> {
  if (former !== undefined && isLoopbackRange(former.clusterCidr)) return undefined;
  if (flags.clusterCidr !== undefined || flags.serviceCidr !== undefined) return undefined;
  const commands = createNetworkCommands();
  if (former === undefined && !mayRunContainers(flags.containerRuntimeEndpoint)) return undefined;
  if (commands.obstacle() !== undefined) return undefined;
  const device = bridgeOf(directory);
  try {
    const preferred = former === undefined ? {} : { preferred: former };
    return await claimRealRanges({ commands, device, ...preferred });
  } catch (error) {
    const what = "containers get no addresses: the machine's network cannot be changed";
    logger.warn(what, { error: String(error) });
    return undefined;
  }
}

/** Whether there is, or may be started, what runs containers on this machine. */
function mayRunContainers(endpoint: string | undefined): boolean {
  if (endpoint === "none") return false;
  if (endpoint !== undefined && endpoint !== "own") return true;
  return Bun.which("containerd") !== null && Bun.which("runc") !== null;
}

function rangesIn({ clusterCidr, serviceCidr }: Settings): AddressRanges | undefined {
  if (clusterCidr === undefined || serviceCidr === undefined) return undefined;
  return { clusterCidr, serviceCidr };
}
