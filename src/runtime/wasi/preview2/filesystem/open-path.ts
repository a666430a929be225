import { closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { type ResolvedPath, MAX_PATH_BYTES } from "../../host/resolve-path.ts";
import { FileError } from "./file-error.ts";

/** `open-flags` and `descriptor-flags` of wasi:filesystem/types. */
export interface OpenFlags {
  readonly create?: boolean;
  readonly directory?: boolean;
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
}
export interface DescriptorFlags {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly fileIntegritySync?: boolean;
  readonly dataIntegritySync?: boolean;
  readonly requestedWriteSync?: boolean;
  readonly mutateDirectory?: boolean;
}

/** No device may block the worker or become its terminal while it is looked at. */
const SAFE_OPEN = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Opens what a path leads to: a file or a directory, nothing else. Throws what the system says. */
export function openPath(
  resolved: ResolvedPath,
  openFlags: OpenFlags,
  flags: DescriptorFlags,
): { readonly fd: number; readonly kind: "file" | "directory" } {
  const wantsDirectory = resolved.wantsDirectory || openFlags.directory === true;
  if (wantsDirectory && openFlags.create === true) {
    throw new FileError(resolved.wantsDirectory ? "is-directory" : "invalid");
  }
  refuseDevices(resolved, openFlags);
  const host =
    accessOf(flags) |
    (wantsDirectory ? constants.O_DIRECTORY : 0) |
    (openFlags.create === true ? constants.O_CREAT : 0) |
    (openFlags.exclusive === true ? constants.O_EXCL : 0) |
    (openFlags.truncate === true ? constants.O_TRUNC : 0) |
    (flags.dataIntegritySync === true ? constants.O_DSYNC : 0) |
    (flags.fileIntegritySync === true || flags.requestedWriteSync === true ? constants.O_SYNC : 0);
  const fd = openSync(resolved.hostPath, host | SAFE_OPEN, 0o644);
  const stats = fstatSync(fd);
  if (stats.isFile()) return { fd, kind: "file" };
  if (stats.isDirectory()) return { fd, kind: "directory" };
  closeSync(fd);
  throw new FileError("not-permitted");
}

/** Opening a device can have effects of its own; what is swapped in later is seen by fstat. */
function refuseDevices(resolved: ResolvedPath, openFlags: OpenFlags): void {
  const before = lstatSync(resolved.hostPath, { throwIfNoEntry: false });
  if (before === undefined || before.isFile() || before.isDirectory()) return;
  if (!before.isSymbolicLink()) throw new FileError("not-permitted");
  if (openFlags.exclusive !== true) throw new FileError("loop");
}

function accessOf(flags: DescriptorFlags): number {
  if (flags.write !== true) return constants.O_RDONLY;
  return flags.read === true ? constants.O_RDWR : constants.O_WRONLY;
}

/** Throws for a path that no system call may be given. */
export function checkPath(path: string): string {
  if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new FileError("name-too-long");
  }
  if (path.includes("\0")) throw new FileError("invalid");
  return path;
}

/** Only for calls that never follow the last component, and mean the entry itself. */
export function stripSlashes(path: string): string {
  const stripped = path.replace(/\/+$/, "");
  return stripped === "" ? path : stripped;
}
