import type { ServerFlags } from "../cli/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import {
  claimLoopbackRanges,
  createDisk,
  createLogger,
  systemClock as clock,
  systemRandom as random,
} from "../os/index.ts";
import type { ClaimedRanges } from "../os/index.ts";
import { openStore } from "../store/index.ts";
import type { Store } from "../store/index.ts";
import { createDataDirectory, readSettings } from "./data-directory.ts";
import type { DataDirectory, Settings } from "./data-directory.ts";

/** What everything else of a server stands on. */
export interface Ground {
  readonly directory: DataDirectory;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: Store;
  readonly ranges: ClaimedRanges;
  /** Resolves when the state can be written no more. */
  readonly failed: Promise<Error>;
}

/** Opens the data directory, which refuses a second server, and claims the address ranges. */
export async function openGround(flags: ServerFlags): Promise<Ground> {
  const logger = createLogger({ level: flags.logLevel });
  const directory = createDataDirectory(flags.dataDir);
  const failed = Promise.withResolvers<Error>();
  const store = await openStore({
    directory: directory.store,
    disk: createDisk(),
    clock,
    random,
    logger: logger.child({ room: "store" }),
    onFatal: failed.resolve,
  });
  const settings = readSettings(directory);
  return {
    directory,
    settings,
    clock,
    random,
    logger,
    store,
    ranges: chooseRanges(flags, settings, logger),
    failed: failed.promise,
  };
}

function chooseRanges(flags: ServerFlags, settings: Settings, logger: Logger): ClaimedRanges {
  const { clusterCidr, serviceCidr } = flags;
  if (clusterCidr !== undefined && serviceCidr !== undefined) {
    return { clusterCidr, serviceCidr, release: () => undefined };
  }
  const former =
    settings.clusterCidr === undefined || settings.serviceCidr === undefined
      ? undefined
      : { clusterCidr: settings.clusterCidr, serviceCidr: settings.serviceCidr };
  const claimed = claimLoopbackRanges(former);
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
