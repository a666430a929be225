import type { CompiledModule } from "./compile-module.ts";

export interface ModuleUse {
  readonly module: CompiledModule;
  /** Call once, when the guest ended. */
  release(): void;
}

interface Entry {
  readonly compiled: Promise<CompiledModule>;
  uses: number;
}

/**
 * The compiled modules of a process: each is compiled once for all guests that run it, and kept as
 * long as one does. A module's file never changes, because its name is its digest.
 */
export class SharedModules {
  readonly #entries = new Map<string, Entry>();

  /** `key` tells what is compiled and under which limits. Rejects as `compile` does. */
  async use(key: string, compile: () => Promise<CompiledModule>): Promise<ModuleUse> {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { compiled: compile(), uses: 0 };
      this.#entries.set(key, entry);
    }
    entry.uses++;
    const held = entry;
    const release = () => {
      held.uses--;
      if (held.uses === 0 && this.#entries.get(key) === held) this.#entries.delete(key);
    };
    try {
      return { module: await entry.compiled, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Modules that some guest runs. */
  get size(): number {
    return this.#entries.size;
  }
}
