import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Payload } from "./volume-payload.ts";

const DATA = "..data";

/**
 * Makes a directory hold exactly the payload, all at once: the files stand in a directory of their
 * own, `..data` is a symbolic link to it that is replaced by one rename, and each visible name
 * links through `..data`. A reader sees the old files or the new ones, never a mixture. Gives false
 * when nothing had to change.
 *
 *     app.conf → ..data/app.conf        ..data → ..1732287600000
 */
export function writeAtomicDirectory(root: string, payload: Payload, now: number): boolean {
  mkdirSync(root, { recursive: true, mode: 0o755 });
  const current = currentVersion(root);
  if (current !== undefined && holds(join(root, current), payload)) return false;
  const version = freshName(root, now);
  writeFiles(join(root, version), payload);
  if (current === undefined) {
    // Nobody reads yet: every pod that starts comes by here, and each call counts then.
    symlinkSync(version, join(root, DATA));
  } else {
    const temporary = join(root, "..data_tmp");
    rmSync(temporary, { force: true });
    symlinkSync(version, temporary);
    renameSync(temporary, join(root, DATA));
  }
  linkVisibleNames(root, payload);
  if (current !== undefined) rmSync(join(root, current), { recursive: true, force: true });
  return true;
}

function writeFiles(directory: string, payload: Payload): void {
  const made = new Set<string>();
  const make = (path: string): void => {
    if (!made.has(path)) mkdirSync(path, { recursive: true, mode: 0o755 });
    made.add(path);
  };
  make(directory);
  for (const [path, { content, mode }] of payload) {
    const file = join(directory, path);
    make(dirname(file));
    writeFileSync(file, content);
    chmodSync(file, mode);
  }
}

function currentVersion(root: string): string | undefined {
  try {
    return readlinkSync(join(root, DATA));
  } catch {
    return undefined; // Nothing was written here yet.
  }
}

function freshName(root: string, now: number): string {
  for (let version = Math.floor(now); ; version++) {
    if (!existsSync(join(root, `..${version}`))) return `..${version}`;
  }
}

function holds(directory: string, payload: Payload): boolean {
  const found = filesUnder(directory, "");
  if (found.length !== payload.size) return false;
  return found.every((path) => {
    const wanted = payload.get(path);
    if (wanted === undefined) return false;
    const mode = lstatSync(join(directory, path)).mode & 0o777;
    const content = readFileSync(join(directory, path));
    return mode === (wanted.mode & 0o777) && content.equals(wanted.content);
  });
}

function filesUnder(directory: string, prefix: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? filesUnder(join(directory, entry.name), `${prefix}${entry.name}/`)
      : [`${prefix}${entry.name}`],
  );
}

function linkVisibleNames(root: string, payload: Payload): void {
  const wanted = new Set([...payload.keys()].map((path) => path.split("/")[0] ?? ""));
  const present = readdirSync(root).filter((name) => !name.startsWith(".."));
  for (const name of present) if (!wanted.has(name)) rmSync(join(root, name), { force: true });
  for (const name of wanted) {
    if (!present.includes(name)) symlinkSync(join(DATA, name), join(root, name));
  }
}
