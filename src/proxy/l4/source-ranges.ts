import { parseRange, parseIpv4 } from "../net/peer-addresses.ts";

/** Whether `loadBalancerSourceRanges` let this client in; no ranges let everybody in. */
export function isAllowedSource(ranges: readonly string[] | undefined, address: string): boolean {
  if (ranges === undefined) return true;
  const plain = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  const number = parseIpv4(plain);
  if (number === undefined) return false;
  return ranges.some((text) => {
    const range = parseRange(text.trim());
    if (range === undefined) return false;
    const first = range.first - (range.first % range.size);
    return number >= first && number < first + range.size;
  });
}
