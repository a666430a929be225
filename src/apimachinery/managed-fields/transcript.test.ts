import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Glob, YAML } from "bun";
import { isJsonObject, type JsonObject } from "../json-value.ts";
import type { KubeObject } from "../meta.ts";
import { schemaFromOpenApi } from "../schema-from-openapi.ts";
import type { Schema } from "../schema.ts";
import { StatusError } from "../status-error.ts";
import { loadSchemas } from "../testing/api-types.ts";
import { applyConfiguration, ApplyConflictError } from "./apply-configuration.ts";
import { applyConflictError } from "./conflict-text.ts";
import { pathsOf, readFieldsV1 } from "./fields-v1.ts";
import type { FieldWriter } from "./managed-entries.ts";
import { trackCreate, trackUpdate } from "./track-update.ts";

/*
 * Each file of testdata is the life of one object. A step is a command with a YAML document, then
 * `----`, then what came of it. The commands:
 *
 *     kind NAME | schema           which type it is, or an OpenAPI schema of its own
 *     create|update MANAGER [SUB]  writes the document as the whole object
 *     apply MANAGER [SUB] [force]  applies the document
 *     managed                      the document is a list that replaces managedFields
 *     show                         the object
 *
 * A write answers with the owners of all fields. UPDATE=1 rewrites the answers.
 */
const schemas = loadSchemas();
const directory = join(import.meta.dir, "testdata");
const SEPARATOR = "----";

class ObjectLife {
  #schema: Schema = schemas("core.v1.ConfigMap");
  #object: KubeObject | undefined;
  #seconds = 0;

  run(input: string): string {
    const lines = input.split("\n").filter((line) => !line.startsWith("#"));
    const [command = "", ...words] = (lines[0] ?? "").split(" ");
    const document: unknown = YAML.parse(lines.slice(1).join("\n"));
    try {
      return this.#run(command, words, document as KubeObject);
    } catch (error) {
      if (error instanceof ApplyConflictError)
        return statusText(applyConflictError(error.conflicts));
      return (error as Error).message;
    }
  }

  #run(command: string, words: readonly string[], document: KubeObject): string {
    if (command === "kind") this.#schema = schemas(words[0] ?? "");
    if (command === "schema") this.#schema = schemaFromOpenApi(document);
    if (command === "show") return YAML.stringify(withoutOwners(this.#object), null, 2);
    if (command === "managed") return this.#setManaged(document as unknown as JsonObject[]);
    if (!["create", "update", "apply"].includes(command)) return "";
    const writer = this.#writer(words);
    if (command === "apply") this.#apply(document, writer, words.includes("force"));
    else this.#write(document, writer);
    return ownersText(this.#object);
  }

  #write(document: KubeObject, writer: FieldWriter): void {
    const next: KubeObject = { ...document, metadata: { ...document.metadata } };
    const old = this.#object;
    const schema = this.#schema;
    const owners =
      old === undefined
        ? trackCreate(schema, next, writer)
        : trackUpdate(schema, old, next, writer);
    this.#object = withOwners(next, owners);
  }

  #apply(configuration: KubeObject, writer: FieldWriter, force: boolean): void {
    const live = this.#object;
    const request = { schema: this.#schema, live, configuration, writer, force };
    const { object, managedFields } = applyConfiguration(request);
    this.#object = withOwners(object, managedFields);
  }

  #setManaged(managedFields: JsonObject[]): string {
    const old = this.#object ?? { metadata: {} };
    const next = { ...old, metadata: { ...old.metadata, managedFields } };
    this.#object = withOwners(next, trackUpdate(this.#schema, old, next, this.#writer(["editor"])));
    return ownersText(this.#object);
  }

  #writer([manager = "", second = ""]: readonly string[]): FieldWriter {
    const seconds = String(this.#seconds++).padStart(2, "0");
    const subresource = second === "force" ? "" : second;
    return { manager, apiVersion: "v1", subresource, time: `2026-01-01T00:00:${seconds}Z` };
  }
}

function withOwners(
  object: KubeObject,
  owners: KubeObject["metadata"]["managedFields"],
): KubeObject {
  const { managedFields: _before, ...metadata } = object.metadata;
  return {
    ...object,
    metadata: owners === undefined ? metadata : { ...metadata, managedFields: owners },
  };
}

function withoutOwners(object: KubeObject | undefined): KubeObject | undefined {
  return object === undefined ? undefined : withOwners(object, undefined);
}

function ownersText(object: KubeObject | undefined): string {
  const entries = object?.metadata.managedFields ?? [];
  if (entries.length === 0) return "nobody";
  return entries
    .map(({ manager, operation, subresource, time, fieldsV1 }) => {
      const paths = pathsOf(readFieldsV1(fieldsV1) ?? {});
      const through = subresource === undefined ? "" : `/${subresource}`;
      return [`${operation} ${manager}${through} :${time?.slice(17, 19)}`, ...paths].join("\n  ");
    })
    .join("\n");
}

function statusText({ status }: StatusError): string {
  const causes = (status.details?.causes ?? []).map(({ field }) => `  ${field}`);
  return [`${status.code} ${status.message}`, ...causes].join("\n");
}

test.each([...new Glob("*.txt").scanSync(directory)].sort())("managed fields: %s", (file) => {
  const path = join(directory, file);
  const text = readFileSync(path, "utf8");
  const life = new ObjectLife();
  const steps = text.trimEnd().split(/\n\n+/);
  const actual = steps.map((step) => {
    const [input = ""] = step.split(`\n${SEPARATOR}`);
    const output = life.run(input);
    return `${input}\n${SEPARATOR}${output === "" ? "" : `\n${output}`}`;
  });
  const after = `${actual.join("\n\n")}\n`;
  if (process.env["UPDATE"] === "1") writeFileSync(path, after);
  else expect(after).toBe(text);
});

test("readFieldsV1: takes nothing that is no set of paths", () => {
  const cases: unknown[] = [
    [],
    null,
    "x",
    { wrong: {} },
    { "f:a": 1 },
    { "k:x": {} },
    { "i:x": {} },
  ];
  for (const value of cases) expect(readFieldsV1(value)).toBeUndefined();
  const good = { "f:a": { ".": {}, 'k:{"x":1}': {}, 'v:"y"': {}, "i:0": {} } };
  expect(isJsonObject(readFieldsV1(good))).toBe(true);
});
