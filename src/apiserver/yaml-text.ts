import type { DocumentOptions, ParseOptions, ScalarTag, SchemaOptions, Tags } from "yaml";

/** What a YAML text says, and the keys that it says twice. */
export interface ParsedYaml {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

/** A text that is not YAML, or more than one document, or one that grows without bound. */
export class YamlTextError extends Error {
  override readonly name = "YamlTextError";
}

const TIMESTAMP = "tag:yaml.org,2002:timestamp";

/**
 * As Kubernetes reads it, which is YAML 1.1: 0644 is octal, yes is true and << merges. Dates and
 * 12:30 stay the texts that they are.
 */
const READING: ParseOptions & DocumentOptions & SchemaOptions = {
  version: "1.1",
  strict: false,
  customTags: (tags) => tags.filter(isPlain),
};

/** Texts that a reader of YAML 1.1 would take for something else (dates, yes) are quoted. */
const WRITING = { version: "1.1", sortMapEntries: true, lineWidth: 0 } as const;

/** Parses one document. Few requests carry YAML: the parser is loaded by the first one. */
export async function parseYaml(text: string): Promise<ParsedYaml> {
  const { parseDocument } = await import("yaml");
  try {
    const document = parseDocument(text, { ...READING, logLevel: "error" });
    const fatal = document.errors.find(({ code }) => code !== "DUPLICATE_KEY");
    if (fatal !== undefined) throw new YamlTextError(fatal.message);
    const duplicates = document.errors.map(({ pos, linePos }) => {
      const key = /^["']?([^\s"':]*)/.exec(text.slice(pos[0]))?.[1] ?? "";
      return `yaml: line ${linePos?.[0].line ?? 0}: key "${key}" already set in map`;
    });
    // Through JSON, so that what YAML can say beyond it (binaries, sets) does not get further.
    const value: unknown = JSON.parse(JSON.stringify(document.toJS() ?? null));
    return { value, duplicates };
  } catch (error) {
    // Unknown and exploding aliases are reference errors, circles type errors, depth a range error.
    const known = [ReferenceError, TypeError, RangeError].some((kind) => error instanceof kind);
    if (known) throw new YamlTextError((error as Error).message);
    throw error;
  }
}

/** Writes a JSON value as YAML, keys in order as kubectl has them. */
export async function yamlText(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, WRITING);
}

function isPlain(tag: Tags[number]): boolean {
  if (typeof tag === "string") return true;
  return tag.tag !== TIMESTAMP && (tag as ScalarTag).format !== "TIME";
}
