import type { NetworkCommands } from "../runtime/index.ts";
import {
  closeLocalRanges,
  openLocalRanges,
  prefixesInUse,
  prefixesOverlap,
} from "./local-ranges.ts";

/** The ranges of one cluster on this machine: pods in one /16, Services in the next. */
export interface AddressRanges {
  readonly clusterCidr: string;
  readonly serviceCidr: string;
}

export interface ClaimedRanges extends AddressRanges {
  /** Lets another cluster have the ranges. They also fall free when this process ends. */
  release(): void;
}

const FIRST_SECOND_OCTET = 42;
const MAX_CLUSTERS = 40;
/** A cluster holds its ranges by listening here, on an address at the end of its Services'. */
const CLAIM_PORT = 42_643;

/**
 * Takes `preferred`, or else the first free pair from 127.42.0.0/16 and 127.43.0.0/16 on. Linux
 * answers on all of 127.0.0.0/8, so that nothing has to be set up.
 */
export function claimLoopbackRanges(preferred?: AddressRanges): ClaimedRanges {
  if (preferred !== undefined) {
    const claim = listen(preferred.serviceCidr);
    if (claim !== undefined) return { ...preferred, release: claim };
  }
  for (let index = 0; index < MAX_CLUSTERS; index++) {
    const octet = FIRST_SECOND_OCTET + 2 * index;
    const serviceCidr = `127.${octet + 1}.0.0/16`;
    const claim = listen(serviceCidr);
    if (claim !== undefined) {
      return { clusterCidr: `127.${octet}.0.0/16`, serviceCidr, release: claim };
    }
  }
  throw new Error(
    `all ${MAX_CLUSTERS} loopback ranges are taken by other clusters; ` +
      "name free ones with --cluster-cidr and --service-cidr",
  );
}

/** Whether a range is of 127.0.0.0/8: addresses that never leave a network namespace. */
export function isLoopbackRange(cidr: string): boolean {
  return cidr.startsWith("127.");
}

export interface RealRangesOptions {
  readonly commands: NetworkCommands;
  /** The bridge that the routes of both ranges stand on; made if missing. */
  readonly device: string;
  /** What this cluster had before. */
  readonly preferred?: AddressRanges;
}

/**
 * Takes `preferred`, or else the first pair from 10.42.0.0/16 and 10.43.0.0/16 on that no route of
 * this machine touches, and makes them its own. Undefined when all are taken. Rejects where the
 * kernel refuses.
 */
export async function claimRealRanges(
  options: RealRangesOptions,
): Promise<ClaimedRanges | undefined> {
  const { commands, device, preferred } = options;
  const inUse = await prefixesInUse(commands, { device });
  const isFree = (range: string): boolean => !inUse.some((taken) => prefixesOverlap(taken, range));
  for (const ranges of [...(preferred === undefined ? [] : [preferred]), ...realPairs()]) {
    if (!isFree(ranges.clusterCidr) || !isFree(ranges.serviceCidr)) continue;
    await openLocalRanges(commands, device, ranges);
    const release = listen(ranges.serviceCidr);
    if (release !== undefined) return { ...ranges, release };
    // Another cluster was a moment faster.
  }
  await closeLocalRanges(commands, device);
  return undefined;
}

function realPairs(): AddressRanges[] {
  return Array.from({ length: MAX_CLUSTERS }, (_, index) => {
    const octet = FIRST_SECOND_OCTET + 2 * index;
    return { clusterCidr: `10.${octet}.0.0/16`, serviceCidr: `10.${octet + 1}.0.0/16` };
  });
}

function listen(serviceCidr: string): (() => void) | undefined {
  const [first, second] = serviceCidr.split(".");
  try {
    const listener = Bun.listen({
      hostname: `${first}.${second}.255.254`,
      port: CLAIM_PORT,
      socket: {
        data: () => undefined,
        open: (socket) => {
          socket.end();
        },
      },
    });
    listener.unref();
    return () => listener.stop(true);
  } catch {
    // Taken by another cluster, or not an address of this machine: the caller tries the next.
    return undefined;
  }
}
