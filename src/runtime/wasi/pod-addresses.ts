import type { Logger } from "../../lib/index.ts";
import { AddressPool, type RangePart } from "../address-pool.ts";
import { type PodNetwork, RuntimeError } from "../runtime.ts";
import type { SandboxRecord, StateDirectory } from "./state-directory.ts";

/** The addresses of this node's pods; who joins another runtime's network has none of them. */
export class PodAddresses {
  readonly #directory: StateDirectory;
  readonly #logger: Logger;
  readonly #part: RangePart;
  #podCidr: string | undefined;
  /** Absent until the node's range is known. */
  #pool: AddressPool | undefined;

  constructor(directory: StateDirectory, logger: Logger, part: RangePart = "all") {
    this.#directory = directory;
    this.#logger = logger;
    this.#part = part;
  }

  /** The range that addresses come from from now on. Throws `invalid-config`. */
  use(podCidr: string, sandboxes: Iterable<SandboxRecord>): void {
    if (podCidr === this.#podCidr) return;
    this.#pool = new AddressPool(podCidr, this.#directory.addressCursor, this.#part);
    this.#podCidr = podCidr;
    for (const sandbox of sandboxes) this.hold(sandbox);
  }

  /** Throws `exhausted`. */
  take(joins: PodNetwork | undefined): string {
    if (joins !== undefined) return joins.ip;
    if (this.#pool === undefined) {
      throw new RuntimeError("exhausted", "the node has no range of pod addresses yet");
    }
    const ip = this.#pool.take();
    this.#directory.saveAddressCursor(this.#pool.cursor);
    return ip;
  }

  hold(sandbox: SandboxRecord): void {
    if (sandbox.joins !== undefined || this.#pool === undefined) return;
    if (this.#pool.hold(sandbox.ip)) return;
    this.#logger.warn("a pod's address is not free", { ...sandbox });
  }

  release({ joins, ip }: SandboxRecord): void {
    if (joins === undefined) this.#pool?.release(ip);
  }
}
