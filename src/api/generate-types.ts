/**
 * Writes `types.ts` beside every `types.json`: the served kinds as TypeScript interfaces.
 * Run it with `bun run generate` after changing the data; a test holds the two together.
 */
import { Glob } from "bun";

type FieldNotation = string | [type: string, options: { required?: boolean }];

interface TypeNotation {
  readonly fields?: Readonly<Record<string, FieldNotation>>;
  readonly is?: string;
  readonly gvk?: readonly string[];
}

type TypeTable = Readonly<Record<string, TypeNotation>>;

const apiDirectory = import.meta.dir;

const MAX_COLUMNS = 100;

const SCALARS: Readonly<Record<string, string>> = {
  any: "unknown",
  boolean: "boolean",
  integer: "number",
  number: "number",
  object: "Record<string, unknown>",
  string: "string",
  "string:int-or-string": "string | number",
};

/** `types.ts` for every folder that has a `types.json`, by path relative to src/api. */
export async function generateTypes(): Promise<Map<string, string>> {
  const tables = new Map<string, TypeTable>();
  for (const path of [...new Glob("*/*/types.json").scanSync(apiDirectory)].sort()) {
    tables.set(path.replace("/types.json", ""), await Bun.file(`${apiDirectory}/${path}`).json());
  }
  const home = new Map<string, string>();
  for (const [folder, table] of tables) {
    for (const name of Object.keys(table)) home.set(name, folder);
  }
  const files = new Map<string, string>();
  for (const [folder, table] of tables) {
    files.set(`${folder}/types.ts`, renderFile(folder, table, home));
  }
  return files;
}

function renderFile(folder: string, table: TypeTable, home: Map<string, string>): string {
  const imports = new Map<string, Set<string>>();
  const body = Object.entries(table).map(([name, notation]) =>
    renderType(name, notation, (reference) => {
      const from = home.get(reference);
      if (from === undefined) throw new Error(`${name} refers to unknown type ${reference}`);
      if (from !== folder) {
        const names = imports.get(from) ?? new Set();
        imports.set(from, names.add(shortName(reference)));
      }
      return shortName(reference);
    }),
  );
  const importLines = [...imports].map(([from, names]) => renderImport(from, [...names].sort()));
  return [
    "// Generated from types.json by `bun run generate`; change the data, not this file.",
    ...importLines.sort(),
    "",
    body.join("\n\n"),
    "",
  ].join("\n");
}

/** Breaks the line where the formatter would, so that rendering twice changes nothing. */
function renderImport(from: string, names: readonly string[]): string {
  const line = `import type { ${names.join(", ")} } from "../../${from}/types.ts";`;
  if (line.length <= MAX_COLUMNS) return line;
  const broken = names.map((name) => `  ${name},`);
  return ["import type {", ...broken, `} from "../../${from}/types.ts";`].join("\n");
}

function renderType(
  name: string,
  notation: TypeNotation,
  reference: (name: string) => string,
): string {
  if (notation.fields === undefined) {
    return `export type ${shortName(name)} = ${renderReference(notation.is ?? "any", reference)};`;
  }
  const lines = Object.entries(notation.fields).map(([field, value]) => {
    const [type, options] = typeof value === "string" ? [value, {}] : value;
    const isRootMetadata = notation.gvk !== undefined && type === "apis.meta.v1.ObjectMeta";
    const optional = options.required === true || isRootMetadata ? "" : "?";
    const key = /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(field) ? field : JSON.stringify(field);
    return `  ${key}${optional}: ${renderReference(type, reference)};`;
  });
  const index = notation.gvk === undefined ? [] : ["  [field: string]: unknown;"];
  return [`export interface ${shortName(name)} {`, ...lines, ...index, "}"].join("\n");
}

function renderReference(type: string, reference: (name: string) => string): string {
  if (type.startsWith("[")) {
    const item = renderReference(type.slice(1, -1), reference);
    return /[^A-Za-z0-9_]/.test(item) ? `(${item})[]` : `${item}[]`;
  }
  if (type.startsWith("map<")) {
    return `Record<string, ${renderReference(type.slice(4, -1), reference)}>`;
  }
  const scalar = SCALARS[type] ?? SCALARS[type.split(":")[0] ?? ""];
  return scalar ?? reference(type);
}

function shortName(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

if (import.meta.main) {
  for (const [path, text] of await generateTypes()) {
    await Bun.write(`${apiDirectory}/${path}`, text);
  }
}
