/** Numbers of the WASI preview 1 interface (`witx`), named as the specification names them. */

export const RIGHTS = {
  fdDatasync: 1 << 0,
  fdRead: 1 << 1,
  fdSeek: 1 << 2,
  fdFdstatSetFlags: 1 << 3,
  fdSync: 1 << 4,
  fdTell: 1 << 5,
  fdWrite: 1 << 6,
  fdAdvise: 1 << 7,
  fdAllocate: 1 << 8,
  pathCreateDirectory: 1 << 9,
  pathCreateFile: 1 << 10,
  pathLinkSource: 1 << 11,
  pathLinkTarget: 1 << 12,
  pathOpen: 1 << 13,
  fdReaddir: 1 << 14,
  pathReadlink: 1 << 15,
  pathRenameSource: 1 << 16,
  pathRenameTarget: 1 << 17,
  pathFilestatGet: 1 << 18,
  pathFilestatSetSize: 1 << 19,
  pathFilestatSetTimes: 1 << 20,
  fdFilestatGet: 1 << 21,
  fdFilestatSetSize: 1 << 22,
  fdFilestatSetTimes: 1 << 23,
  pathSymlink: 1 << 24,
  pathRemoveDirectory: 1 << 25,
  pathUnlinkFile: 1 << 26,
  pollFdReadwrite: 1 << 27,
  sockShutdown: 1 << 28,
  sockAccept: 1 << 29,
} as const;

export const ALL_RIGHTS = 0x3fff_ffff;

/** What a guest may do with a regular file. */
export const FILE_RIGHTS =
  RIGHTS.fdDatasync |
  RIGHTS.fdRead |
  RIGHTS.fdSeek |
  RIGHTS.fdFdstatSetFlags |
  RIGHTS.fdSync |
  RIGHTS.fdTell |
  RIGHTS.fdWrite |
  RIGHTS.fdAdvise |
  RIGHTS.fdAllocate |
  RIGHTS.fdFilestatGet |
  RIGHTS.fdFilestatSetSize |
  RIGHTS.fdFilestatSetTimes |
  RIGHTS.pollFdReadwrite;

/** What a guest may do with a directory itself. */
export const DIRECTORY_RIGHTS =
  ALL_RIGHTS &
  ~(
    RIGHTS.fdRead |
    RIGHTS.fdSeek |
    RIGHTS.fdTell |
    RIGHTS.fdWrite |
    RIGHTS.fdAdvise |
    RIGHTS.fdAllocate |
    RIGHTS.fdFilestatSetSize |
    RIGHTS.pollFdReadwrite |
    RIGHTS.sockShutdown |
    RIGHTS.sockAccept
  );

export const CONNECTION_RIGHTS =
  RIGHTS.fdRead |
  RIGHTS.fdWrite |
  RIGHTS.fdFdstatSetFlags |
  RIGHTS.fdFilestatGet |
  RIGHTS.pollFdReadwrite |
  RIGHTS.sockShutdown;

export const LISTENER_RIGHTS = CONNECTION_RIGHTS | RIGHTS.sockAccept;

export const STREAM_RIGHTS =
  RIGHTS.fdFdstatSetFlags | RIGHTS.fdFilestatGet | RIGHTS.pollFdReadwrite;

export const FILE_TYPE = {
  unknown: 0,
  blockDevice: 1,
  characterDevice: 2,
  directory: 3,
  regularFile: 4,
  socketStream: 6,
  symbolicLink: 7,
} as const;

export const FD_FLAGS = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;
export const OPEN_FLAGS = { creat: 1, directory: 2, excl: 4, trunc: 8 } as const;
export const LOOKUP_SYMLINK_FOLLOW = 1;
export const FST_FLAGS = { atim: 1, atimNow: 2, mtim: 4, mtimNow: 8 } as const;
export const WHENCE = { set: 0, cur: 1, end: 2 } as const;
export const EVENT = { clock: 0, fdRead: 1, fdWrite: 2 } as const;
export const EVENT_HANGUP = 1;
export const CLOCK_ABSTIME = 1;
export const CLOCK_ID = { realtime: 0, monotonic: 1, processCpu: 2, threadCpu: 3 } as const;
export const RECV_FLAGS = { peek: 1, waitall: 2 } as const;
export const SHUTDOWN = { read: 1, write: 2 } as const;

export const PRESTAT_DIRECTORY = 0;
/** Not in the specification: any tag but 0 makes wasi-libc skip the descriptor and go on. */
export const PRESTAT_SOCKET = 1;

export const SIZE = { iovec: 8, fdstat: 24, filestat: 64, dirent: 24, event: 32, subscription: 48 };
