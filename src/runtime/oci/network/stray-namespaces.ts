import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../../lib/index.ts";

/**
 * Network namespaces that a container runtime made for pods of ours and then forgot, because it
 * was killed in between. Each is a file that a namespace is mounted on.
 */
export class StrayNamespaces {
  readonly #directory: string | undefined;
  readonly #logger: Logger;
  /** Those that belonged to nobody when they were last looked at. */
  #seen = new Set<string>();

  constructor(directory: string | undefined, logger: Logger) {
    this.#directory = directory;
    this.#logger = logger;
  }

  /** Removes those that were strays at the last call too. `known`: the paths of living pods. */
  async sweep(known: ReadonlySet<string>): Promise<void> {
    if (this.#directory === undefined) return;
    const strays = namesIn(this.#directory)
      .map((name) => join(this.#directory ?? "", name))
      .filter((path) => !known.has(path));
    const gone = strays.filter((path) => this.#seen.has(path));
    this.#seen = new Set(strays.filter((path) => !gone.includes(path)));
    for (const path of gone) {
      this.#logger.warn("the network of a pod that is gone is removed", { path });
      // The kernel takes the namespace, and its end of the cable, when nothing holds it any more.
      const unmount = Bun.spawn(["umount", "-l", path], { stdio: ["ignore", "ignore", "ignore"] });
      await unmount.exited;
      rmSync(path, { force: true });
    }
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // There was no pod yet.
  }
}
