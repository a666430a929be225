import type { NetworkCommands } from "../runtime/index.ts";
import type { AddressRanges } from "./address-range.ts";

/**
 * The number under which the routes of Kubun stand in the kernel's tables, so that those of others
 * on the same device are left alone. The numbers from 64 to 185 have no owner.
 */
export const ROUTE_PROTOCOL = 75;

interface Route {
  readonly dst?: string;
  readonly dev?: string;
  readonly type?: string;
  readonly protocol?: string;
}

/**
 * Makes both ranges addresses of this machine, by routes ("AnyIP") over a bridge of our own: a
 * program can then listen on any address of them, and the bridge takes all of it along when it
 * goes. Idempotent. Rejects where the kernel refuses.
 */
export async function openLocalRanges(
  commands: NetworkCommands,
  device: string,
  { clusterCidr, serviceCidr }: AddressRanges,
): Promise<void> {
  const links = (await commands.ipJson(["link", "show"])) as { readonly ifname?: string }[];
  if (!links.some(({ ifname }) => ifname === device)) {
    await commands.ip([`link add ${device} type bridge`]);
  }
  const wanted = [clusterCidr, serviceCidr];
  const present = (await routes(commands)).filter(
    ({ dev, type, protocol }) =>
      dev === device && type === "local" && protocol === String(ROUTE_PROTOCOL),
  );
  const route = (verb: string, range: string): string =>
    `route ${verb} local ${range} dev ${device} table local protocol ${ROUTE_PROTOCOL}`;
  const extra = present.flatMap(({ dst }) =>
    dst === undefined || wanted.includes(dst) ? [] : [dst],
  );
  const missing = wanted.filter((range) => !present.some(({ dst }) => dst === range));
  // Another node of the cluster on this machine has the same routes on its own bridge: `append`.
  await commands.ip([
    `link set ${device} up`,
    ...extra.map((range) => route("del", range)),
    ...missing.map((range) => route("append", range)),
  ]);
}

/** Takes the bridge away and every route with it. Idempotent. */
export async function closeLocalRanges(commands: NetworkCommands, device: string): Promise<void> {
  await commands.ip([`link del ${device}`], { keepGoing: true });
}

/** The prefixes that this machine knows how to reach by anything but its default route. */
export async function prefixesInUse(
  commands: NetworkCommands,
  except: { readonly device: string },
): Promise<string[]> {
  return (await routes(commands)).flatMap(({ dst, dev }) =>
    dst === undefined || dst === "default" || dev === except.device ? [] : [dst],
  );
}

/** Whether two prefixes have an address in common; one without a length is a single address. */
export function prefixesOverlap(one: string, other: string): boolean {
  const [a, b] = [parsePrefix(one), parsePrefix(other)];
  const size = 2 ** (32 - Math.min(a.length, b.length));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
}

function parsePrefix(text: string): { base: number; length: number } {
  const [address = "", length = "32"] = text.split("/");
  // `ip` leaves octets that are 0 out of a prefix: "127/8".
  const octets = [...address.split("."), "0", "0", "0"].slice(0, 4);
  return {
    base: octets.reduce((sum, octet) => sum * 256 + Number(octet), 0),
    length: Number(length),
  };
}

async function routes(commands: NetworkCommands): Promise<Route[]> {
  return (await commands.ipJson(["-4", "route", "show", "table", "all"])) as Route[];
}
