import type { ComponentManifest } from "./component-manifest.ts";

/** A translation with the limit that its memories get: what a worker can load beforehand. */
export interface LikelyComponent {
  readonly directory: string;
  readonly memoryLimitBytes?: number;
}

/** So many are loaded by each worker that waits. */
export const MAX_LIKELY_COMPONENTS = 4;
/** Code and modules together; a larger one costs each waiting worker more than it saves one. */
export const MAX_LIKELY_BYTES = 1024 * 1024;

/**
 * The components that containers were last made of. One of them is probably the next: a Deployment
 * that sleeps is woken again, a container that ended is started again.
 */
export class LikelyComponents {
  /** The one used last is at the end. */
  #list: readonly LikelyComponent[] = [];

  /** The one used last comes first. */
  get list(): readonly LikelyComponent[] {
    return this.#list.toReversed();
  }

  used(component: LikelyComponent, { code, modules }: ComponentManifest): void {
    const sizeBytes = [code, ...modules].reduce((sum, file) => sum + file.sizeBytes, 0);
    if (sizeBytes > MAX_LIKELY_BYTES) return;
    const others = this.#list.filter((one) => !isSame(one, component));
    this.#list = [...others, component].slice(-MAX_LIKELY_COMPONENTS);
  }

  /** Those of images that were removed are not to be looked for any more. */
  keepOnly(isThere: (directory: string) => boolean): void {
    this.#list = this.#list.filter(({ directory }) => isThere(directory));
  }
}

function isSame(left: LikelyComponent, right: LikelyComponent): boolean {
  return left.directory === right.directory && left.memoryLimitBytes === right.memoryLimitBytes;
}
