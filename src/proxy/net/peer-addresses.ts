import type { Node } from "../../api/index.ts";

/** Where a node answers the cluster's other processes, as its agent tells: "host:port". */
export const PEER_ADDRESS_ANNOTATION = "kubun.dev/peer-address";
/** For nodes that do not tell. */
export const DEFAULT_PEER_PORT = 10250;

/** Where each node of the cluster is reached. */
export class PeerAddresses {
  readonly #addresses = new Map<string, string>();

  set(node: Node): void {
    const { name = "", annotations = {} } = node.metadata;
    const internal = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
    const fallback = internal === undefined ? undefined : `${internal}:${DEFAULT_PEER_PORT}`;
    const address = annotations[PEER_ADDRESS_ANNOTATION] ?? fallback;
    if (address === undefined) this.#addresses.delete(name);
    else this.#addresses.set(name, address);
  }

  delete({ metadata }: Node): void {
    this.#addresses.delete(metadata.name ?? "");
  }

  of(nodeName: string): string | undefined {
    return this.#addresses.get(nodeName);
  }
}
