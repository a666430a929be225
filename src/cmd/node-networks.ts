import { join } from "node:path";
import type { Logger } from "../lib/index.ts";
import {
  createNetworkCommands,
  isLoopbackRange,
  openLocalRanges,
  ROUTE_PROTOCOL,
} from "../os/index.ts";
import { createBridgeNetworks } from "../runtime/index.ts";
import type { BridgeNetworks, WasiRuntimeOptions } from "../runtime/index.ts";
import { bridgeOf } from "./choose-ranges.ts";
import { readSettings } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";

export interface NodeNetworksOptions {
  readonly directory: DataDirectory;
  readonly logger: Logger;
  /** Where the node's own container runtime keeps network namespaces. */
  readonly namespaceDirectory?: string;
}

/** The network of this node's containers, over the ranges that were chosen before; not opened. */
export function createNodeNetworks(options: NodeNetworksOptions): BridgeNetworks {
  const { directory, logger, namespaceDirectory } = options;
  const { clusterCidr = "", serviceCidr = "" } = readSettings(directory);
  const commands = createNetworkCommands();
  const bridge = bridgeOf(directory);
  const ranges = { clusterCidr, serviceCidr };
  return createBridgeNetworks({
    directory: join(directory.runtime, "networks"),
    bridge,
    ranges,
    openRanges: () => openLocalRanges(commands, bridge, ranges),
    commands,
    logger,
    routeProtocol: ROUTE_PROTOCOL,
    ...(namespaceDirectory === undefined ? {} : { namespaceDirectory }),
  });
}

/** Where modules get their addresses: containers have a part of a range that leads to them. */
export function addressesOfModules(directory: DataDirectory): {
  addresses?: WasiRuntimeOptions["addresses"] & string;
} {
  const { clusterCidr } = readSettings(directory);
  if (clusterCidr === undefined || isLoopbackRange(clusterCidr)) return {};
  return { addresses: "modules" };
}
