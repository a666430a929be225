import { PROVIDED_INTERFACES } from "../../../lib/index.ts";

/** What a component is run as. */
export type ComponentKind = "http" | "command";

export interface TranslatedFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** manifest.json of a translation: written last, so that what has one is whole. */
export interface ComponentManifest {
  readonly version: string;
  readonly kind: ComponentKind;
  /** With versions, as the component names them. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  /** The export that is entered, with its version. */
  readonly entry: string;
  /** Names under which the generated code asks for its imports. */
  readonly importKeys: readonly string[];
  /** The generated module; it exports `instantiate`. */
  readonly code: TranslatedFile;
  /** The core modules by the names that the generated code knows them by. */
  readonly modules: readonly TranslatedFile[];
}

/**
 * Changes with the translator, with what is made of its output, and with the functions that may
 * wait, which are part of the generated code: what has another version is made anew.
 */
export const TRANSLATION_VERSION = `jco-transpile 0.15.0, 2, ${Bun.hash(
  JSON.stringify(Object.values(PROVIDED_INTERFACES).map(({ suspending }) => suspending)),
).toString(36)}`;
export const MANIFEST_FILE = "manifest.json";
const FILE_NAME = /^[a-z0-9][a-z0-9.-]*$/;

/** Reads a manifest; `undefined` when it is none of this version. */
export function parseManifest(text: string): ComponentManifest | undefined {
  try {
    const manifest = JSON.parse(text) as ComponentManifest;
    if (manifest.version !== TRANSLATION_VERSION) return undefined;
    const files = [manifest.code, ...manifest.modules];
    return files.every(({ name }) => FILE_NAME.test(name)) ? manifest : undefined;
  } catch {
    return undefined; // Cut or empty: as good as none.
  }
}
