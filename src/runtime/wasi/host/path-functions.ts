import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  type BigIntStats,
} from "node:fs";
import {
  DIRECTORY_RIGHTS,
  FD_FLAGS,
  FILE_RIGHTS,
  LOOKUP_SYMLINK_FOLLOW,
  OPEN_FLAGS,
  RIGHTS,
} from "./abi.ts";
import { ERRNO, hostCode, WasiError, type Errno } from "./errno.ts";
import { newTimes, setTimes, writeFilestat } from "./filestat.ts";
import type { HostState } from "./host-state.ts";
import { OpenDirectory } from "./open-directory.ts";
import { OpenFile } from "./open-file.ts";
import { MAX_PATH_BYTES, withResolvedPath, type ResolvedPath } from "./resolve-path.ts";

/** A byte order mark is part of a name like any other character. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** No device may block the worker or become its terminal while it is looked at. */
const SAFE_OPEN = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/** The `path_*` functions. */
export function pathFunctions(state: HostState) {
  return {
    ...openFunctions(state),
    ...entryFunctions(state),
    ...linkFunctions(state),
    ...symlinkFunctions(state),
  };
}

function openFunctions(state: HostState) {
  const { memory, descriptors } = state;
  return {
    path_open(
      fd: number,
      lookup: number,
      path: number,
      pathLength: number,
      openFlags: number,
      rightsArg: bigint,
      inheritingArg: bigint,
      fdFlags: number,
      result: number,
    ): number {
      const directory = directoryAt(state, fd, RIGHTS.pathOpen);
      const { inheriting } = descriptors.get(fd);
      const wanted = {
        rights: Number(rightsArg & BigInt(inheriting)),
        inheriting: Number(inheritingArg & BigInt(inheriting)),
        openFlags,
        fdFlags,
      };
      refuseUnknown(openFlags, OPEN_FLAGS);
      refuseUnknown(fdFlags, FD_FLAGS);
      if (openFlags & OPEN_FLAGS.creat) descriptors.require(fd, RIGHTS.pathCreateFile);
      if (openFlags & OPEN_FLAGS.trunc) descriptors.require(fd, RIGHTS.pathFilestatSetSize);
      const name = pathAt(state, path, pathLength);
      memory.slice(result, 4);
      descriptors.requireRoom();
      const exclusive = (openFlags & OPEN_FLAGS.creat) !== 0 && (openFlags & OPEN_FLAGS.excl) !== 0;
      const follow = follows(lookup) && !exclusive;
      const opened = withResolvedPath(directory.fd, name, { follow }, (resolved) =>
        openTarget(resolved, directory, wanted),
      );
      const rights =
        opened.kind === "directory"
          ? wanted.rights & DIRECTORY_RIGHTS
          : wanted.rights & FILE_RIGHTS;
      try {
        const inherit = opened.kind === "directory" ? wanted.inheriting : 0;
        const entry = { target: opened, rights, inheriting: inherit, flags: fdFlags };
        memory.setUint32(result, descriptors.insert(entry));
      } catch (error) {
        opened.close();
        throw error;
      }
      return ERRNO.success;
    },
  };
}

interface Wanted {
  readonly rights: number;
  readonly openFlags: number;
  readonly fdFlags: number;
}

function openTarget(
  resolved: ResolvedPath,
  directory: OpenDirectory,
  wanted: Wanted,
): OpenFile | OpenDirectory {
  const wantsDirectory = resolved.wantsDirectory || (wanted.openFlags & OPEN_FLAGS.directory) !== 0;
  const access = accessOf(wanted.rights);
  const create = (wanted.openFlags & (OPEN_FLAGS.creat | OPEN_FLAGS.trunc)) !== 0;
  if (wantsDirectory && (wanted.openFlags & OPEN_FLAGS.creat) !== 0) {
    throw new WasiError(resolved.wantsDirectory ? ERRNO.isdir : ERRNO.inval);
  }
  if (directory.readOnly && (create || access !== constants.O_RDONLY)) {
    throw new WasiError(ERRNO.rofs);
  }
  const fd = openNoFollow(resolved, access | hostFlags(wanted, { wantsDirectory }));
  const stats = fstatSync(fd);
  if (stats.isDirectory()) return new OpenDirectory(fd, directory);
  if (stats.isFile()) return new OpenFile(fd, access, directory);
  closeSync(fd);
  // Devices, pipes and sockets of the host are not the guest's to talk to.
  throw new WasiError(ERRNO.perm);
}

function openNoFollow(resolved: ResolvedPath, flags: number): number {
  const before = lstatSync(resolved.hostPath, { throwIfNoEntry: false });
  if (before !== undefined) {
    if (before.isSymbolicLink() && (flags & constants.O_EXCL) === 0) {
      throw new WasiError(ERRNO.loop);
    }
    const plain = before.isFile() || before.isDirectory() || before.isSymbolicLink();
    // Opening a device can have effects of its own; what is swapped in later is seen by fstat.
    if (!plain) throw new WasiError(ERRNO.perm);
  }
  return openSync(resolved.hostPath, flags | SAFE_OPEN, 0o644);
}

function accessOf(rights: number): number {
  const write = rights & (RIGHTS.fdWrite | RIGHTS.fdAllocate | RIGHTS.fdFilestatSetSize);
  if (write === 0) return constants.O_RDONLY;
  return rights & RIGHTS.fdRead ? constants.O_RDWR : constants.O_WRONLY;
}

function hostFlags(wanted: Wanted, options: { readonly wantsDirectory: boolean }): number {
  const { openFlags, fdFlags } = wanted;
  return (
    (options.wantsDirectory ? constants.O_DIRECTORY : 0) |
    (openFlags & OPEN_FLAGS.creat ? constants.O_CREAT : 0) |
    (openFlags & OPEN_FLAGS.excl ? constants.O_EXCL : 0) |
    (openFlags & OPEN_FLAGS.trunc ? constants.O_TRUNC : 0) |
    hostFdFlags(fdFlags)
  );
}

/** Status flags for open(2) from the guest's FD_FLAGS. */
export function hostFdFlags(fdFlags: number): number {
  return (
    (fdFlags & FD_FLAGS.append ? constants.O_APPEND : 0) |
    (fdFlags & FD_FLAGS.dsync ? constants.O_DSYNC : 0) |
    (fdFlags & (FD_FLAGS.sync | FD_FLAGS.rsync) ? constants.O_SYNC : 0)
  );
}

function entryFunctions(state: HostState) {
  const { memory } = state;
  return {
    path_create_directory(fd: number, path: number, length: number): number {
      const directory = writableAt(state, fd, RIGHTS.pathCreateDirectory);
      const name = pathAt(state, path, length);
      withEntry(directory, name, (resolved, end) => {
        if (end === "dot") throw noEntryError(resolved, ERRNO.exist);
        mkdirSync(resolved.hostPath, 0o755);
      });
      return ERRNO.success;
    },
    path_filestat_get(
      fd: number,
      lookup: number,
      path: number,
      length: number,
      result: number,
    ): number {
      const directory = directoryAt(state, fd, RIGHTS.pathFilestatGet);
      const follow = follows(lookup);
      withResolvedPath(directory.fd, pathAt(state, path, length), { follow }, (resolved) => {
        const stats = statOf(resolved);
        if (stats.isSymbolicLink() && follow) throw new WasiError(ERRNO.loop);
        writeFilestat(memory, result, stats);
      });
      return ERRNO.success;
    },
    path_filestat_set_times(
      fd: number,
      lookup: number,
      path: number,
      length: number,
      atim: bigint,
      mtim: bigint,
      flags: number,
    ): number {
      const directory = writableAt(state, fd, RIGHTS.pathFilestatSetTimes);
      const follow = follows(lookup);
      withResolvedPath(directory.fd, pathAt(state, path, length), { follow }, (resolved) => {
        const stats = statOf(resolved);
        if (stats.isSymbolicLink() && follow) throw new WasiError(ERRNO.loop);
        const times = newTimes({ stats, atim, mtim, flags, nowNs: state.clock.realtimeNs() });
        setTimes(resolved.hostPath, times);
      });
      return ERRNO.success;
    },
    path_remove_directory(fd: number, path: number, length: number): number {
      const directory = writableAt(state, fd, RIGHTS.pathRemoveDirectory);
      const name = pathAt(state, path, length);
      withEntry(directory, name, (resolved, end) => {
        if (end === "dot") throw noEntryError(resolved, ERRNO.inval);
        rmdirSync(resolved.hostPath);
      });
      return ERRNO.success;
    },
    path_unlink_file(fd: number, path: number, length: number): number {
      const directory = writableAt(state, fd, RIGHTS.pathUnlinkFile);
      const name = pathAt(state, path, length);
      withEntry(directory, name, (resolved, end) => {
        const stats = lstatSync(resolved.hostPath);
        if (stats.isDirectory()) throw new WasiError(ERRNO.isdir);
        if (end !== "name") throw new WasiError(ERRNO.notdir);
        unlinkSync(resolved.hostPath);
      });
      return ERRNO.success;
    },
  };
}

function linkFunctions(state: HostState) {
  return {
    path_link(
      oldFd: number,
      oldLookup: number,
      oldPath: number,
      oldLength: number,
      newFd: number,
      newPath: number,
      newLength: number,
    ): number {
      const from = writableAt(state, oldFd, RIGHTS.pathLinkSource);
      const to = writableAt(state, newFd, RIGHTS.pathLinkTarget);
      // Following is refused: the link would be made on whatever was swapped in.
      if (oldLookup !== 0) throw new WasiError(ERRNO.inval);
      const source = pathAt(state, oldPath, oldLength);
      const target = pathAt(state, newPath, newLength);
      withEntry(from, source, (old, oldEnd) =>
        withEntry(to, target, (next, newEnd) => {
          if (oldEnd !== "name") throw noEntryError(old, ERRNO.perm);
          if (newEnd !== "name") throw noEntryError(next, ERRNO.exist);
          linkSync(old.hostPath, next.hostPath);
        }),
      );
      return ERRNO.success;
    },
    path_rename(
      oldFd: number,
      oldPath: number,
      oldLength: number,
      newFd: number,
      newPath: number,
      newLength: number,
    ): number {
      const from = writableAt(state, oldFd, RIGHTS.pathRenameSource);
      const to = writableAt(state, newFd, RIGHTS.pathRenameTarget);
      const source = pathAt(state, oldPath, oldLength);
      const target = pathAt(state, newPath, newLength);
      withEntry(from, source, (old, oldEnd) =>
        withEntry(to, target, (next, newEnd) => {
          if (oldEnd === "dot") throw noEntryError(old, ERRNO.busy);
          if (newEnd === "dot") throw noEntryError(next, ERRNO.busy);
          const slashed = oldEnd === "slash" || newEnd === "slash";
          if (slashed && !lstatSync(old.hostPath).isDirectory()) throw new WasiError(ERRNO.notdir);
          renameSync(old.hostPath, next.hostPath);
        }),
      );
      return ERRNO.success;
    },
  };
}

function symlinkFunctions(state: HostState) {
  const { memory } = state;
  return {
    path_readlink(
      fd: number,
      path: number,
      length: number,
      buffer: number,
      capacity: number,
      result: number,
    ): number {
      const directory = directoryAt(state, fd, RIGHTS.pathReadlink);
      const name = pathAt(state, path, length);
      const target = withResolvedPath(directory.fd, name, { follow: false }, (resolved) => {
        if (resolved.wantsDirectory) statOf(resolved);
        return readlinkSync(resolved.hostPath);
      });
      memory.setUint32(result, memory.copyInto(buffer, capacity, Buffer.from(target)));
      return ERRNO.success;
    },
    path_symlink(
      target: number,
      targetLength: number,
      fd: number,
      path: number,
      length: number,
    ): number {
      const directory = writableAt(state, fd, RIGHTS.pathSymlink);
      const text = pathAt(state, target, targetLength);
      const name = pathAt(state, path, length);
      if (text.length === 0) throw new WasiError(ERRNO.noent);
      // An absolute link would lead the guest nowhere, but others out of the volume.
      if (text.startsWith("/")) throw new WasiError(ERRNO.perm);
      withEntry(directory, name, (resolved, end) => {
        if (end !== "name") throw noEntryError(resolved, ERRNO.exist);
        symlinkSync(text, resolved.hostPath);
      });
      return ERRNO.success;
    },
  };
}

/** How a path ends: `name`, `name/`, or `name/.` and `name/..`, which name no entry at all. */
type PathEnd = "name" | "slash" | "dot";

/** Resolves a path that means an entry itself, and never what a link there points to. */
function withEntry<Result>(
  directory: OpenDirectory,
  path: string,
  use: (resolved: ResolvedPath, end: PathEnd) => Result,
): Result {
  const dot = /(^|\/)\.\.?\/*$/.test(path);
  const end = dot ? "dot" : path.endsWith("/") ? "slash" : "name";
  const entry = end === "slash" ? stripSlashes(path) : path;
  return withResolvedPath(directory.fd, entry, { follow: false }, (resolved) => use(resolved, end));
}

/** What is wrong with `name/` or `name/.` where an entry is wanted; `existing` for a directory. */
function noEntryError(resolved: ResolvedPath, existing: Errno): WasiError {
  const stats = lstatSync(resolved.hostPath, { throwIfNoEntry: false });
  if (stats === undefined) return new WasiError(ERRNO.noent);
  return new WasiError(stats.isDirectory() ? existing : ERRNO.notdir);
}

/** Of the last component itself. Throws ENOTDIR when only a directory would do. */
function statOf(resolved: ResolvedPath): BigIntStats {
  const stats = lstatSync(resolved.hostPath, { bigint: true });
  if (resolved.wantsDirectory && !stats.isDirectory()) throw new WasiError(ERRNO.notdir);
  return stats;
}

function follows(lookup: number): boolean {
  if (lookup & ~LOOKUP_SYMLINK_FOLLOW) throw new WasiError(ERRNO.inval);
  return lookup === LOOKUP_SYMLINK_FOLLOW;
}

function refuseUnknown(flags: number, known: Readonly<Record<string, number>>): void {
  const all = Object.values(known).reduce((sum, flag) => sum | flag, 0);
  if (flags & ~all) throw new WasiError(ERRNO.inval);
}

/** The entry's name: a path of slashes alone stays, and is refused as absolute. */
function stripSlashes(path: string): string {
  const stripped = path.replace(/\/+$/, "");
  return stripped === "" ? path : stripped;
}

function pathAt(state: HostState, pointer: number, length: number): string {
  if (length >>> 0 > MAX_PATH_BYTES) throw new WasiError(ERRNO.nametoolong);
  let path: string;
  try {
    path = decoder.decode(state.memory.slice(pointer, length));
  } catch (error) {
    if (hostCode(error) === undefined && !(error instanceof TypeError)) throw error;
    throw new WasiError(ERRNO.ilseq);
  }
  if (path.includes("\0")) throw new WasiError(ERRNO.inval);
  return path;
}

function directoryAt(state: HostState, fd: number, rights: number): OpenDirectory {
  const { target } = state.descriptors.get(fd);
  if (target.kind !== "directory") throw new WasiError(ERRNO.notdir);
  state.descriptors.require(fd, rights);
  return target;
}

function writableAt(state: HostState, fd: number, rights: number): OpenDirectory {
  const directory = directoryAt(state, fd, rights);
  if (directory.readOnly) throw new WasiError(ERRNO.rofs);
  return directory;
}
