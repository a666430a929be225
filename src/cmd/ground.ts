import { networkInterfaces } from "node:os";
import { isNodeName, NODE_NAME_RULE, UsageError } from "../cli/index.ts";
import type { ServerFlags } from "../cli/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import {
  createDisk,
  createLogger,
  systemClock as clock,
  systemRandom as random,
} from "../os/index.ts";
import { createDataDirectory, readSettings } from "./data-directory.ts";
import type { DataDirectory, Settings } from "./data-directory.ts";
import { localNodeName } from "./node.ts";

/** What everything else of a process stands on. */
export interface Ground {
  readonly directory: DataDirectory;
  readonly settings: Settings;
  readonly disk: ReturnType<typeof createDisk>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeName: string;
  /** The address of this machine that others are told. */
  readonly advertiseAddress: string;
  /** The host under which the cluster's other machines reach the peer port. */
  readonly peerHost: string;
}

/** Makes the data directory and reads what earlier starts decided. */
export function openGround(
  flags: Pick<
    ServerFlags,
    | "dataDir"
    | "logLevel"
    | "nodeName"
    | "nodeIp"
    | "advertiseAddress"
    | "bindAddress"
    | "peerAddress"
  >,
): Ground {
  const directory = createDataDirectory(flags.dataDir);
  const settings = readSettings(directory);
  const advertiseAddress = flags.advertiseAddress ?? flags.nodeIp ?? advertised(flags.bindAddress);
  return {
    directory,
    settings,
    disk: createDisk(),
    clock,
    random,
    logger: createLogger({ level: flags.logLevel }),
    nodeName: flags.nodeName ?? settings.nodeName ?? machineName(),
    advertiseAddress,
    peerHost: flags.peerAddress ?? advertiseAddress,
  };
}

/** Not every name of a machine can be a node's. */
function machineName(): string {
  const name = localNodeName();
  if (isNodeName(name)) return name;
  throw new UsageError(
    `--node-name is missing: the machine's own name, ${JSON.stringify(name)}, cannot be a ` +
      `node's; give ${NODE_NAME_RULE}`,
  );
}

/** The address others are told when the server listens on all of them: the first outer one. */
function advertised(bindAddress: string): string {
  if (bindAddress !== "0.0.0.0") return bindAddress;
  const outer = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((address) => address.family === "IPv4" && !address.internal);
  return outer?.address ?? "127.0.0.1";
}
