import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../../lib/index.ts";
import { RuntimeError } from "../../runtime.ts";
import { Slots } from "../worker/slots.ts";
import { type ComponentManifest, MANIFEST_FILE, parseManifest } from "./component-manifest.ts";
import type { TranslationOrder } from "./translation-process.ts";

export interface ComponentTranslationsOptions {
  /** One directory an image; made if missing. */
  readonly directory: string;
  readonly translate: (order: TranslationOrder) => Promise<void>;
  readonly logger: Logger;
}

export interface ComponentImage {
  /** `sha256:…`. */
  readonly digest: string;
  readonly modulePath: string;
}

/** A translation that is on the disk, whole. */
export interface Translation {
  readonly directory: string;
  readonly manifest: ComponentManifest;
}

/** Each takes 100 MB and a core for a second. */
export const MAX_CONCURRENT_TRANSLATIONS = 2;
/** Images that may wait for their translation. */
export const MAX_WAITING_TRANSLATIONS = 256;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
const UNFINISHED = ".tmp";

/**
 * Components as the workers load them, one translation an image digest, made on demand and kept
 * until the image goes. What a crash left half is swept; what was damaged is made anew.
 */
export class ComponentTranslations {
  readonly #options: ComponentTranslationsOptions;
  readonly #slots = new Slots(MAX_CONCURRENT_TRANSLATIONS, MAX_WAITING_TRANSLATIONS);
  readonly #underWay = new Map<string, Promise<Translation>>();
  /** Translations whose content was compared with their manifest since this server began. */
  readonly #verified = new Map<string, ComponentManifest>();

  constructor(options: ComponentTranslationsOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  }

  /** Where an image's translation is, whether or not it was made. */
  directoryOf(digest: string): string {
    return join(this.#options.directory, nameOf(digest));
  }

  get isAny(): boolean {
    return readdirSync(this.#options.directory).length > 0;
  }

  /**
   * The translation of an image, made now unless it is there. Errors: `image-unsupported`,
   * `exhausted`.
   */
  ensure(image: ComponentImage): Promise<Translation> {
    const name = nameOf(image.digest);
    const underWay = this.#underWay.get(name);
    if (underWay !== undefined) return underWay;
    const made = this.#findOrMake(name, image.modulePath).finally(() => {
      this.#underWay.delete(name);
    });
    this.#underWay.set(name, made);
    return made;
  }

  /** Removes what no image of these digests needs. Translations under way stay. */
  keepOnly(digests: ReadonlySet<string>): void {
    const names = new Set([...digests].map(nameOf));
    for (const entry of readdirSync(this.#options.directory)) {
      const name = entry.split(".")[0] ?? "";
      if (this.#underWay.has(name) || names.has(entry)) continue;
      rmSync(join(this.#options.directory, entry), { recursive: true, force: true });
      this.#verified.delete(entry);
    }
  }

  async #findOrMake(name: string, modulePath: string): Promise<Translation> {
    const directory = join(this.#options.directory, name);
    const found = await this.#find(name, directory);
    if (found !== undefined) return found;
    const slot = this.#slots.take();
    if (slot === undefined) {
      const why = `${MAX_WAITING_TRANSLATIONS} components wait for their translation already`;
      throw new RuntimeError("exhausted", why);
    }
    await slot;
    try {
      await this.#make(directory, modulePath);
    } finally {
      this.#slots.give();
    }
    const made = await this.#find(name, directory);
    if (made !== undefined) return made;
    throw new RuntimeError("image-unsupported", "the component's translation is not whole");
  }

  async #make(directory: string, input: string): Promise<void> {
    const outputDirectory = `${directory}${UNFINISHED}`;
    rmSync(outputDirectory, { recursive: true, force: true });
    try {
      await this.#options.translate({ input, outputDirectory });
      rmSync(directory, { recursive: true, force: true });
      renameSync(outputDirectory, directory);
    } catch (error) {
      rmSync(outputDirectory, { recursive: true, force: true });
      throw error;
    }
  }

  async #find(name: string, directory: string): Promise<Translation | undefined> {
    const known = this.#verified.get(name);
    // A start waits for this: what was read once is only looked for.
    if (known !== undefined && hasSizes(directory, known)) return { directory, manifest: known };
    const text = await readFile(join(directory, MANIFEST_FILE), "utf8").catch(() => "");
    const manifest = text === "" ? undefined : parseManifest(text);
    if (manifest === undefined) return undefined;
    if (known !== undefined || !(await hasContent(directory, manifest))) {
      this.#options.logger.warn("a component's translation is damaged: it is made anew", { name });
      this.#verified.delete(name);
      return undefined;
    }
    this.#verified.set(name, manifest);
    return { directory, manifest };
  }
}

function hasSizes(directory: string, { code, modules }: ComponentManifest): boolean {
  if (!existsSync(join(directory, MANIFEST_FILE))) return false;
  return [code, ...modules].every(
    ({ name, sizeBytes }) =>
      statSync(join(directory, name), { throwIfNoEntry: false })?.size === sizeBytes,
  );
}

async function hasContent(directory: string, manifest: ComponentManifest): Promise<boolean> {
  if (!hasSizes(directory, manifest)) return false;
  for (const { name, sha256 } of [manifest.code, ...manifest.modules]) {
    const content = await readFile(join(directory, name));
    if (createHash("sha256").update(content).digest("hex") !== sha256) return false;
  }
  return true;
}

function nameOf(digest: string): string {
  const name = DIGEST.exec(digest)?.[1];
  if (name !== undefined) return name;
  throw new RuntimeError("image-damaged", `digest ${digest}: want sha256: and 64 hex digits`);
}
