import type { ClusterZone, ZoneAnswer } from "./zone.ts";

/** As many dots as let a name be tried as it is first (`ndots` of a pod's resolv.conf). */
const NDOTS = 5;

/** Where short names of a namespace's pods are looked for, in order. */
export function searchDomains(namespace: string, domain: string): readonly string[] {
  return [`${namespace}.svc.${domain}`, `svc.${domain}`, domain];
}

/** What a pod's resolver would try for a name, in order; "." at the end means the name itself. */
export function candidates(namespace: string, host: string, domain: string): readonly string[] {
  if (host.endsWith(".")) return [host.slice(0, -1)];
  const searched = searchDomains(namespace, domain).map((suffix) => `${host}.${suffix}`);
  const dots = host.split(".").length - 1;
  return dots >= NDOTS ? [host, ...searched] : [...searched, host];
}

/** The first answer that a pod of the namespace would take; "elsewhere" when the zone has none. */
export function searchZone(
  zone: ClusterZone,
  namespace: string,
  host: string,
  type: string,
): ZoneAnswer {
  let last: ZoneAnswer = { type: "elsewhere" };
  for (const name of candidates(namespace, host, zone.domain)) {
    last = zone.ask(name, type);
    if (last.type === "outside") return last;
    if (last.type === "records" && last.records.length > 0) return last;
  }
  return last;
}
