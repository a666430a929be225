import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Prepared modules that are kept; the one asked for first of all goes. */
export const MAX_PREPARED_MODULES = 64;
const WITH_DIGEST = /@sha256:[0-9a-f]{64}$/;

/**
 * Where workers leave modules as they compile them: limited, checked, with refused growth tracked.
 * That is 4 ms of a start, and the same for every container of an image with the same limit. Only
 * what this server's own workers wrote is read: another version may prepare otherwise.
 */
export class PreparedModules {
  readonly #directory: string;
  readonly #names = new Set<string>();
  #isOurs = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** `undefined` for an image without a digest, whose module may become another. */
  pathFor(
    image: { readonly imageRef: string; readonly modulePath: string },
    memoryLimitBytes: number | undefined,
  ): string | undefined {
    const { imageRef, modulePath } = image;
    if (!WITH_DIGEST.test(imageRef)) return undefined;
    if (!this.#isOurs) {
      rmSync(this.#directory, { recursive: true, force: true });
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      this.#isOurs = true;
    }
    const what = JSON.stringify([imageRef, modulePath, memoryLimitBytes ?? null]);
    const name = new Bun.CryptoHasher("sha256").update(what).digest("hex");
    this.#names.add(name);
    const [oldest] = this.#names;
    if (this.#names.size > MAX_PREPARED_MODULES && oldest !== undefined) {
      this.#names.delete(oldest);
      rmSync(join(this.#directory, oldest), { force: true });
    }
    return join(this.#directory, name);
  }
}
