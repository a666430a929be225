import type { Node } from "../../api/index.ts";

/** Where a node answers the cluster's other processes, as its agent tells: "host:port". */
export const PEER_ADDRESS_ANNOTATION = "kubun.dev/peer-address";
/** For nodes that do not tell. */
export const DEFAULT_PEER_PORT = 10250;

/** Where each node of the cluster is reached. */
export class PeerAddresses {
  readonly #addresses = new Map<string, string>();
  readonly #ranges = new Map<string, AddressRange>();

  set(node: Node): void {
    const { name = "", annotations = {} } = node.metadata;
    const internal = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
    const fallback = internal === undefined ? undefined : `${internal}:${DEFAULT_PEER_PORT}`;
    const address = annotations[PEER_ADDRESS_ANNOTATION] ?? fallback;
    const range = node.spec?.podCIDR === undefined ? undefined : parseRange(node.spec.podCIDR);
    if (range === undefined) this.#ranges.delete(name);
    else this.#ranges.set(name, range);
    if (address === undefined) this.#addresses.delete(name);
    else this.#addresses.set(name, address);
  }

  delete({ metadata }: Node): void {
    this.#addresses.delete(metadata.name ?? "");
    this.#ranges.delete(metadata.name ?? "");
  }

  of(nodeName: string): string | undefined {
    return this.#addresses.get(nodeName);
  }

  /** The node in whose range of pod addresses this one is. */
  nodeOfPod(ip: string): string | undefined {
    const number = parseIpv4(ip);
    if (number === undefined) return undefined;
    for (const [name, { first, size }] of this.#ranges) {
      if (number >= first && number < first + size) return name;
    }
    return undefined;
  }
}

export interface AddressRange {
  readonly first: number;
  readonly size: number;
}

export function parseRange(cidr: string): AddressRange | undefined {
  const [base = "", bits] = cidr.split("/");
  const first = parseIpv4(base);
  return first === undefined ? undefined : { first, size: 2 ** (32 - Number(bits)) };
}

export function parseIpv4(text: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (parts === null) return undefined;
  return parts.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0);
}
