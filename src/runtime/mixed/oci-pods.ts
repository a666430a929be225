import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Stands beside the pods' files once there was one. */
const USED = ".used";

/**
 * The uids of pods that the container runtime has a part of, as empty files: known at the start
 * without asking it, so that a node of WASM pods never has to, and one whose container runtime is
 * away for a moment does not take its pods for new ones.
 */
export class OciPods {
  readonly #directory: string;
  readonly #uids: Set<string>;
  #used: boolean;

  constructor(directory: string) {
    this.#directory = directory;
    this.#used = existsSync(join(directory, USED));
    const files = this.#used ? readdirSync(directory) : [];
    this.#uids = new Set(files.filter((file) => file !== USED).map(decodeURIComponent));
  }

  get isEmpty(): boolean {
    return this.#uids.size === 0;
  }

  /** Whether this node ever had such a pod: its container runtime may have images then. */
  get wasUsed(): boolean {
    return this.#used;
  }

  has(uid: string): boolean {
    return this.#uids.has(uid);
  }

  /** Before anything of the pod is made, so that nothing is there that nobody knows of. */
  add(uid: string): void {
    if (this.#uids.has(uid)) return;
    if (!this.#used) {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileSync(join(this.#directory, USED), "");
      this.#used = true;
    }
    writeFileSync(this.#path(uid), "");
    this.#uids.add(uid);
  }

  remove(uid: string): void {
    if (!this.#uids.delete(uid)) return;
    rmSync(this.#path(uid), { force: true });
  }

  /** The others have nothing there any more. */
  keepOnly(uids: ReadonlySet<string>): void {
    for (const uid of this.#uids) if (!uids.has(uid)) this.remove(uid);
  }

  #path(uid: string): string {
    return join(this.#directory, encodeURIComponent(uid));
  }
}
