import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createProcessSpawner, systemClock } from "../../../../os/index.ts";
import { runTranslation } from "../translation-process.ts";

const source = join(import.meta.dir, "..", "..", "..", "..");

const storage = join(import.meta.dir, "..", "..", "preview2", "testdata", "storage");

/** Components the tests run, made by testdata/rebuild.sh. */
export const COMPONENTS = {
  service: join(import.meta.dir, "..", "testdata", "service.wasm"),
  front: join(import.meta.dir, "..", "testdata", "front.wasm"),
  command: join(import.meta.dir, "..", "testdata", "command.wasm"),
  endless: join(storage, "endless.wasm"),
  listener: join(storage, "listener.wasm"),
  storage: join(storage, "storage.wasm"),
};

export const TRANSLATE_COMMAND = [process.execPath, join(source, "cmd", "wasi-translate.ts")];

/** Translations of test components, in a directory that {@link remove} removes. */
export class TranslatedComponents {
  readonly #root = mkdtempSync(join(tmpdir(), "components-"));
  readonly #made = new Map<string, Promise<string>>();

  /** The directory of a component's translation. */
  directory(component: string): Promise<string> {
    const known = this.#made.get(component);
    if (known !== undefined) return known;
    const outputDirectory = join(this.#root, `${this.#made.size}`);
    const made = runTranslation(
      { command: TRANSLATE_COMMAND, spawner: createProcessSpawner(), clock: systemClock },
      { input: component, outputDirectory },
    ).then(() => outputDirectory);
    this.#made.set(component, made);
    return made;
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}
