import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { compileTypes, type TypeTable } from "../compile-types.ts";
import type { Schema } from "../schema.ts";

const apiDirectory = join(import.meta.dir, "../../api");

/** Every served type, so that tests of this room run against the real tables. */
export function loadTypeTable(): TypeTable {
  const table: Record<string, TypeTable[string]> = {};
  for (const path of new Glob("*/*/types.json").scanSync(apiDirectory)) {
    Object.assign(table, JSON.parse(readFileSync(join(apiDirectory, path), "utf8")));
  }
  return table;
}

/** The schema of a served type by name: "apps.v1.Deployment". */
export function loadSchemas(): (name: string) => Schema {
  return compileTypes(loadTypeTable());
}
