import { ERRNO, hostCode, WasiError } from "../../host/errno.ts";
import { GuestError } from "../io/guest-error.ts";
import { IoFailure } from "../io/io-failure.ts";

/** `error-code` of wasi:filesystem/types, by the system's name. */
const FROM_HOST = {
  EACCES: "access",
  EAGAIN: "would-block",
  EALREADY: "already",
  EBADF: "bad-descriptor",
  EBUSY: "busy",
  EDEADLK: "deadlock",
  EDQUOT: "quota",
  EEXIST: "exist",
  EFBIG: "file-too-large",
  EILSEQ: "illegal-byte-sequence",
  EINPROGRESS: "in-progress",
  EINTR: "interrupted",
  EINVAL: "invalid",
  EIO: "io",
  EISDIR: "is-directory",
  ELOOP: "loop",
  EMLINK: "too-many-links",
  EMSGSIZE: "message-size",
  ENAMETOOLONG: "name-too-long",
  ENODEV: "no-device",
  ENOENT: "no-entry",
  ENOLCK: "no-lock",
  ENOMEM: "insufficient-memory",
  ENOSPC: "insufficient-space",
  ENOTDIR: "not-directory",
  ENOTEMPTY: "not-empty",
  ENOTRECOVERABLE: "not-recoverable",
  ENOTSUP: "unsupported",
  ENOTTY: "no-tty",
  ENXIO: "no-such-device",
  EOVERFLOW: "overflow",
  EPERM: "not-permitted",
  EPIPE: "pipe",
  EROFS: "read-only",
  ESPIPE: "invalid-seek",
  ETXTBSY: "text-file-busy",
  EXDEV: "cross-device",
} as const;

/** The interface has no word for too many open files; memory is what they are. */
const ALIASES: Readonly<Record<string, FileErrorCode>> = {
  EOPNOTSUPP: "unsupported",
  ENOSYS: "unsupported",
  EMFILE: "insufficient-memory",
  ENFILE: "insufficient-memory",
};

/** What resolving a path throws. */
const FROM_ERRNO = new Map<number, FileErrorCode>([
  [ERRNO.inval, "invalid"],
  [ERRNO.isdir, "is-directory"],
  [ERRNO.loop, "loop"],
  [ERRNO.nametoolong, "name-too-long"],
  [ERRNO.noent, "no-entry"],
  [ERRNO.notdir, "not-directory"],
  [ERRNO.perm, "not-permitted"],
  [ERRNO.rofs, "read-only"],
]);

export type FileErrorCode = (typeof FROM_HOST)[keyof typeof FROM_HOST];

export class FileError extends GuestError<FileErrorCode> {}

/** The guest's error code for what a file operation threw; undefined for what is none. */
export function fileErrorCode(error: unknown): FileErrorCode | undefined {
  if (error instanceof FileError) return error.payload;
  if (error instanceof WasiError) return FROM_ERRNO.get(error.errno) ?? "io";
  const code = hostCode(error);
  if (code === undefined || code.startsWith("ERR_")) return undefined;
  return isKnown(code) ? FROM_HOST[code] : (ALIASES[code] ?? "io");
}

function isKnown(code: string): code is keyof typeof FROM_HOST {
  return Object.hasOwn(FROM_HOST, code);
}

/** Runs a file operation; what the system refuses becomes the guest's error. */
export function fileOperation<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined || error instanceof FileError) throw error;
    throw new FileError(code);
  }
}

/** The same for a step of a stream. */
export function streamOperation<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    throw new IoFailure(`filesystem: ${code}`, { kind: "filesystem", code });
  }
}
