import type { Ingress } from "../../api/index.ts";
import { inOrderOfAge } from "../routing/ingress-rules.ts";

/** The Secret that has the certificate of some hosts. */
export interface SecretPlace {
  readonly namespace: string;
  readonly name: string;
}

/** Which Secret's certificate each host of Ingresses is shown with. */
export interface TlsHosts {
  /** By host in lower case; `.example.com` stands for `*.example.com`. */
  readonly secrets: ReadonlyMap<string, SecretPlace>;
  /** Each Secret once, by `namespace/name`, with the Ingresses that name it. */
  readonly places: ReadonlyMap<string, SecretPlace & { readonly ingresses: readonly Ingress[] }>;
}

export function placeKey({ namespace, name }: SecretPlace): string {
  return `${namespace}/${name}`;
}

/** Of two Ingresses that claim a host the older one has it, as with paths. */
export function collectTlsHosts(ingresses: readonly Ingress[]): TlsHosts {
  const secrets = new Map<string, SecretPlace>();
  const places = new Map<string, SecretPlace & { ingresses: Ingress[] }>();
  for (const ingress of inOrderOfAge(ingresses)) {
    const namespace = ingress.metadata.namespace ?? "";
    for (const { hosts = [], secretName } of ingress.spec?.tls ?? []) {
      if (secretName === undefined || secretName === "") continue;
      const place = { namespace, name: secretName };
      for (const host of hosts.length > 0 ? hosts : ruledHosts(ingress)) {
        const key = hostKey(host);
        if (!secrets.has(key)) secrets.set(key, place);
      }
      const known = places.get(placeKey(place)) ?? { ...place, ingresses: [] };
      known.ingresses.push(ingress);
      places.set(placeKey(place), known);
    }
  }
  return { secrets, places };
}

/** A certificate without hosts is for those of the rules. */
function ruledHosts(ingress: Ingress): string[] {
  return (ingress.spec?.rules ?? []).flatMap(({ host }) => (host === undefined ? [] : [host]));
}

function hostKey(host: string): string {
  const lower = host.toLowerCase();
  return lower.startsWith("*.") ? lower.slice(1) : lower;
}

/** The Secret for a host as a client names it: its own, or that of its wildcard. */
export function secretOfHost({ secrets }: TlsHosts, host: string): SecretPlace | undefined {
  const dot = host.indexOf(".");
  return secrets.get(host) ?? (dot > 0 ? secrets.get(host.slice(dot)) : undefined);
}
