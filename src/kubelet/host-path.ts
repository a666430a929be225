import { mkdirSync, type Stats, statSync, writeFileSync } from "node:fs";
import type { HostPathVolumeSource } from "../api/index.ts";
import { ConfigError } from "./config-error.ts";

/**
 * Sees to it that a hostPath volume is what its type says, and makes it where the type allows. A
 * path without a type is a directory that is made when nothing is there. Links are followed: who
 * may name a path of the node may name any. Throws {@link ConfigError} with Kubernetes' words.
 */
export function prepareHostPath({ path, type = "" }: HostPathVolumeSource): void {
  const found = statusOf(path);
  switch (type) {
    case "":
      if (found === undefined) mkdirSync(path, { recursive: true, mode: 0o755 });
      return;
    case "DirectoryOrCreate":
      if (found === undefined) mkdirSync(path, { recursive: true, mode: 0o755 });
      else assertIs(found.isDirectory(), path, "a directory");
      return;
    case "FileOrCreate":
      if (found === undefined) writeFileSync(path, "", { mode: 0o644, flag: "wx" });
      else assertIs(found.isFile(), path, "a file");
      return;
    case "Directory":
      return assertIs(found?.isDirectory(), path, "a directory");
    case "File":
      return assertIs(found?.isFile(), path, "a file");
    case "Socket":
      return assertIs(found?.isSocket(), path, "a socket file");
    case "CharDevice":
      return assertIs(found?.isCharacterDevice(), path, "a character device");
    case "BlockDevice":
      return assertIs(found?.isBlockDevice(), path, "a block device");
    default:
      throw new ConfigError(`hostPath type check failed: ${type} is no type of a hostPath`);
  }
}

function assertIs(holds: boolean | undefined, path: string, what: string): void {
  if (holds !== true) throw new ConfigError(`hostPath type check failed: ${path} is not ${what}`);
}

function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new ConfigError(`hostPath ${path} cannot be looked at: ${code}`, { cause: error });
  }
}
