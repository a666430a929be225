import type { LikelyComponent } from "../component/likely-components.ts";
import { ComponentCode } from "./component-code.ts";

/**
 * Components that a worker loaded while it waited: reading and compiling what the translator made
 * takes 7 ms and more of a start. Nothing of a component is run here, because the one that comes
 * may be somebody else's.
 */
export class PreparedComponents {
  readonly #made = new Map<string, Promise<ComponentCode>>();

  /** Loads them one after the other, as long as nobody is in a hurry. */
  async prepare(likely: readonly LikelyComponent[], isWanted: () => boolean): Promise<void> {
    for (const { directory, memoryLimitBytes } of likely) {
      if (!isWanted()) return;
      const key = keyOf(directory, memoryLimitBytes);
      const made = ComponentCode.load(directory, memoryLimitBytes);
      this.#made.set(key, made);
      // Whoever starts it is told why it cannot be loaded; here it was only early.
      await made.catch(() => this.#made.delete(key));
    }
  }

  /** Loads the component unless that was done; the others are let go. */
  take(directory: string, memoryLimitBytes: number | undefined): Promise<ComponentCode> {
    const made = this.#made.get(keyOf(directory, memoryLimitBytes));
    this.#made.clear();
    return made ?? ComponentCode.load(directory, memoryLimitBytes);
  }
}

function keyOf(directory: string, memoryLimitBytes: number | undefined): string {
  return `${memoryLimitBytes ?? "-"} ${directory}`;
}
