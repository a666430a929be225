/** Error numbers of WASI preview 1, in the order of its `errno` type. */
export const ERRNO = {
  success: 0,
  acces: 2,
  again: 6,
  badf: 8,
  busy: 10,
  connaborted: 13,
  connreset: 15,
  dquot: 19,
  exist: 20,
  fault: 21,
  fbig: 22,
  ilseq: 25,
  inval: 28,
  io: 29,
  isdir: 31,
  loop: 32,
  mfile: 33,
  mlink: 34,
  nametoolong: 37,
  nfile: 41,
  noent: 44,
  nomem: 48,
  nospc: 51,
  nosys: 52,
  notconn: 53,
  notdir: 54,
  notempty: 55,
  notsock: 57,
  notsup: 58,
  nxio: 60,
  overflow: 61,
  perm: 63,
  pipe: 64,
  rofs: 69,
  spipe: 70,
  txtbsy: 74,
  xdev: 75,
  notcapable: 76,
} as const;

export type Errno = (typeof ERRNO)[keyof typeof ERRNO];

/** What a host function throws to answer the guest with an error number. */
export class WasiError extends Error {
  override readonly name = "WasiError";
  readonly errno: Errno;

  constructor(errno: Errno) {
    super(`WASI errno ${errno}`);
    this.errno = errno;
  }
}

/** Thrown through the guest's stack by `proc_exit`. */
export class ProcExit extends Error {
  override readonly name = "ProcExit";
  readonly code: number;

  constructor(code: number) {
    super(`guest exited with ${code}`);
    this.code = code;
  }
}

const FROM_HOST: Readonly<Record<string, Errno>> = {
  EACCES: ERRNO.acces,
  EAGAIN: ERRNO.again,
  EBADF: ERRNO.badf,
  EBUSY: ERRNO.busy,
  ECONNRESET: ERRNO.connreset,
  EDQUOT: ERRNO.dquot,
  EEXIST: ERRNO.exist,
  EFBIG: ERRNO.fbig,
  EILSEQ: ERRNO.ilseq,
  EINVAL: ERRNO.inval,
  EIO: ERRNO.io,
  EISDIR: ERRNO.isdir,
  ELOOP: ERRNO.loop,
  EMFILE: ERRNO.mfile,
  EMLINK: ERRNO.mlink,
  ENAMETOOLONG: ERRNO.nametoolong,
  ENFILE: ERRNO.nfile,
  ENOENT: ERRNO.noent,
  ENOMEM: ERRNO.nomem,
  ENOSPC: ERRNO.nospc,
  ENOSYS: ERRNO.nosys,
  ENOTDIR: ERRNO.notdir,
  ENOTEMPTY: ERRNO.notempty,
  ENOTSUP: ERRNO.notsup,
  EOPNOTSUPP: ERRNO.notsup,
  ENXIO: ERRNO.nxio,
  EOVERFLOW: ERRNO.overflow,
  EPERM: ERRNO.perm,
  EPIPE: ERRNO.pipe,
  EROFS: ERRNO.rofs,
  ESPIPE: ERRNO.spipe,
  ETXTBSY: ERRNO.txtbsy,
  EXDEV: ERRNO.xdev,
};

/** The system error code of something node:fs threw, such as `ENOENT`. */
export function hostCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * The error number for something a host function threw; `undefined` for what is not an answer to
 * the guest: its exit, or a fault of the host itself.
 */
export function errnoOf(error: unknown): Errno | undefined {
  if (error instanceof WasiError) return error.errno;
  if (error instanceof ProcExit) return undefined;
  const code = hostCode(error);
  if (code === undefined) return undefined;
  if (code.startsWith("ERR_")) return undefined;
  return FROM_HOST[code] ?? ERRNO.io;
}
