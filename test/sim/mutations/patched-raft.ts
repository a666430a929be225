import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CreateRaft } from "../core/group.ts";

const SOURCES = join(import.meta.dir, "../../../src");

/** `find` stands exactly once in that file of src/raft. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A deliberate bug of the core. */
export interface Mutation {
  readonly name: string;
  /** How many seeds, from 1 on, it lived through when that was last measured. */
  readonly seeds: number;
  readonly patches: readonly Patch[];
}

/** A core with a bug, in a directory of its own; the product's files are not touched. */
export interface PatchedRaft {
  readonly createRaft: CreateRaft;
  remove(): void;
}

/** @throws Error when the text to replace does not stand there exactly once. */
export async function patchRaft(mutation: Mutation): Promise<PatchedRaft> {
  const directory = mkdtempSync(join(tmpdir(), "kubun-mutation-"));
  for (const room of ["lib", "raft"]) {
    cpSync(join(SOURCES, room), join(directory, room), { recursive: true });
  }
  for (const patch of mutation.patches) {
    const path = join(directory, "raft", patch.file);
    writeFileSync(path, apply(patch, readFileSync(path, "utf8"), mutation.name));
  }
  const module = (await import(join(directory, "raft/index.ts"))) as { createRaft: CreateRaft };
  return {
    createRaft: module.createRaft,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function apply({ file, find, replace }: Patch, source: string, name: string): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(`${name}: ${file} has ${parts.length - 1} places like ${find}, not one`);
  }
  return parts.join(replace);
}
