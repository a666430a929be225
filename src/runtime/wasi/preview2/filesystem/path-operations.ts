import {
  linkSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  type BigIntStats,
} from "node:fs";
import { setTimes } from "../../host/filestat.ts";
import { withResolvedPath, type ResolvedPath } from "../../host/resolve-path.ts";
import { FileError } from "./file-error.ts";
import { timestampNs, type NewTimestamp } from "./file-stat.ts";
import { checkPath, stripSlashes } from "./open-path.ts";

/** `path-flags`. */
export interface PathFlags {
  readonly symlinkFollow?: boolean;
}

const MAX_TIME_NS = 2n ** 63n - 1n;

/** Resolves a path of the guest below an open directory. */
export function atPath<Result>(
  directory: number,
  path: string,
  flags: PathFlags,
  use: (resolved: ResolvedPath) => Result,
): Result {
  const follow = flags.symlinkFollow === true;
  return withResolvedPath(directory, checkPath(path), { follow }, use);
}

/** For calls that mean the entry itself. */
function atEntry<Result>(
  directory: number,
  path: string,
  use: (resolved: ResolvedPath) => Result,
): Result {
  return atPath(directory, stripSlashes(checkPath(path)), {}, use);
}

export function statPath(directory: number, path: string, flags: PathFlags): BigIntStats {
  return atPath(directory, path, flags, (resolved) => {
    const stats = lstatSync(resolved.hostPath, { bigint: true });
    if (stats.isSymbolicLink() && flags.symlinkFollow === true) throw new FileError("loop");
    if (resolved.wantsDirectory && !stats.isDirectory()) throw new FileError("not-directory");
    return stats;
  });
}

export interface NewTimes {
  readonly access: NewTimestamp;
  readonly modification: NewTimestamp;
  readonly nowNs: bigint;
}

/** Sets the times of what a host path names; the last component is not followed. */
export function setPathTimes(
  hostPath: string,
  stats: BigIntStats,
  times: NewTimes,
  options: { readonly follow: boolean } = { follow: false },
): void {
  const atimeNs = timestampNs(times.access, stats.atimeNs, times.nowNs);
  const mtimeNs = timestampNs(times.modification, stats.mtimeNs, times.nowNs);
  if (atimeNs > MAX_TIME_NS || mtimeNs > MAX_TIME_NS) throw new FileError("overflow");
  setTimes(hostPath, { atimeNs, mtimeNs }, options);
}

export function createDirectory(directory: number, path: string): void {
  atEntry(directory, path, ({ hostPath }) => mkdirSync(hostPath, 0o755));
}

export function removeDirectory(directory: number, path: string): void {
  atEntry(directory, path, ({ hostPath, name }) => {
    if (name === ".") throw new FileError("invalid");
    rmdirSync(hostPath);
  });
}

export function unlinkFile(directory: number, path: string): void {
  atEntry(directory, path, ({ hostPath }) => {
    if (lstatSync(hostPath).isDirectory()) throw new FileError("is-directory");
    if (path.endsWith("/")) throw new FileError("not-directory");
    unlinkSync(hostPath);
  });
}

export function readLink(directory: number, path: string): string {
  const target = atPath(directory, path, {}, ({ hostPath }) => readlinkSync(hostPath));
  // Where an absolute link leads is not the guest's business.
  if (target.startsWith("/")) throw new FileError("not-permitted");
  return target;
}

export function makeSymlink(directory: number, target: string, path: string): void {
  checkPath(target);
  if (target === "") throw new FileError("no-entry");
  // An absolute link would lead the guest nowhere, but others out of the volume.
  if (target.startsWith("/")) throw new FileError("not-permitted");
  atEntry(directory, path, ({ hostPath }) => {
    if (path.endsWith("/")) {
      const stats = lstatSync(hostPath, { throwIfNoEntry: false });
      if (stats === undefined) throw new FileError("no-entry");
      throw new FileError(stats.isDirectory() ? "exist" : "not-directory");
    }
    symlinkSync(target, hostPath);
  });
}

/** Two names, each below a directory of its own. */
export interface PathPair {
  readonly from: number;
  readonly oldPath: string;
  readonly to: number;
  readonly newPath: string;
}

export function makeLink({ from, oldPath, to, newPath }: PathPair): void {
  if (oldPath.endsWith("/") || newPath.endsWith("/")) throw new FileError("no-entry");
  atEntry(from, oldPath, (old) =>
    atEntry(to, newPath, (next) => linkSync(old.hostPath, next.hostPath)),
  );
}

export function renamePath({ from, oldPath, to, newPath }: PathPair): void {
  atEntry(from, oldPath, (old) =>
    atEntry(to, newPath, (next) => {
      const slashed = oldPath.endsWith("/") || newPath.endsWith("/");
      if (slashed && !lstatSync(old.hostPath).isDirectory()) throw new FileError("not-directory");
      renameSync(old.hostPath, next.hostPath);
    }),
  );
}
