import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { CommandError } from "../cli/index.ts";
import { writeFileAtomically } from "../os/index.ts";
import type { DataDirectory } from "./data-directory.ts";

const PRIVATE_MODE = 0o600;

/** The files of a server's keys that its cluster is lost without, as they are called in tls/. */
const FILES = ["ca.key", "admin.token", "ca.crt"] as const;
const schema = z.record(z.enum(FILES), z.string().min(1));

/** Where the keys of a snapshot are: not in it, so that the two can be kept apart. */
export function keysFileOf(snapshot: string): string {
  return `${snapshot}.keys`;
}

/** Writes the cluster's keys beside a snapshot; false where there are none, as for a stranger. */
export function saveKeys(snapshot: string, { tls }: DataDirectory): boolean {
  if (!FILES.every((name) => existsSync(join(tls, name)))) return false;
  const keys = FILES.map((name) => [name, readFileSync(join(tls, name), "utf8")]);
  const text = JSON.stringify(Object.fromEntries(keys));
  writeFileAtomically(keysFileOf(snapshot), text, { mode: PRIVATE_MODE });
  return true;
}

/**
 * Gives a directory the keys that were saved with a snapshot; one that has keys keeps them.
 * @throws CommandError when the file is something else
 */
export function restoreKeys(snapshot: string, { tls }: DataDirectory): void {
  const path = keysFileOf(snapshot);
  if (!existsSync(path) || existsSync(join(tls, "ca.key"))) return;
  const keys = readKeys(path);
  // In this order a certificate never stands there without its key.
  for (const name of FILES)
    writeFileAtomically(join(tls, name), keys[name], { mode: PRIVATE_MODE });
}

function readKeys(path: string): z.infer<typeof schema> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    // Not quoted: the file holds keys.
    throw new CommandError(`${path} is not JSON: it was not written by \`kubun snapshot save\``);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CommandError(`${path} was not written by \`kubun snapshot save\`, or is damaged`);
}
