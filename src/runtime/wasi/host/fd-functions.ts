import { fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, writeSync } from "node:fs";
import {
  FD_FLAGS,
  FILE_TYPE,
  PRESTAT_DIRECTORY,
  PRESTAT_SOCKET,
  RIGHTS,
  SIZE,
  WHENCE,
} from "./abi.ts";
import type { Descriptor, Target } from "./descriptor-table.ts";
import { ERRNO, WasiError } from "./errno.ts";
import { newTimes, setTimes, writeBareFilestat, writeFilestat } from "./filestat.ts";
import type { HostState } from "./host-state.ts";
import type { OpenDirectory } from "./open-directory.ts";
import type { OpenFile } from "./open-file.ts";
import { hostFdFlags } from "./path-functions.ts";

/** Flags a guest may change on an open descriptor. */
const SETTABLE_FLAGS =
  FD_FLAGS.append | FD_FLAGS.nonblock | FD_FLAGS.dsync | FD_FLAGS.sync | FD_FLAGS.rsync;
const MAX_ALLOCATE_BYTES = 2 ** 40;

/** The `fd_*` functions that never wait. */
export function fdFunctions(state: HostState) {
  return {
    ...tableFunctions(state),
    ...preopenFunctions(state),
    ...fileFunctions(state),
    ...filestatFunctions(state),
    ...positionedFunctions(state),
  };
}

function tableFunctions(state: HostState) {
  const { memory, descriptors } = state;
  return {
    fd_close(fd: number): number {
      descriptors.close(fd);
      return ERRNO.success;
    },
    fd_renumber(from: number, to: number): number {
      descriptors.renumber(from, to);
      return ERRNO.success;
    },
    fd_fdstat_get(fd: number, result: number): number {
      const descriptor = descriptors.get(fd);
      memory.slice(result, SIZE.fdstat).fill(0);
      memory.setUint8(result, targetFileType(descriptor.target));
      memory.setUint16(result + 2, descriptor.flags);
      memory.setSize64(result + 8, descriptor.rights);
      memory.setSize64(result + 16, descriptor.inheriting);
      return ERRNO.success;
    },
    fd_fdstat_set_flags(fd: number, flags: number): number {
      const descriptor = descriptors.require(fd, RIGHTS.fdFdstatSetFlags);
      if (flags & ~SETTABLE_FLAGS) throw new WasiError(ERRNO.inval);
      const { target } = descriptor;
      const changed = (flags ^ descriptor.flags) & ~FD_FLAGS.nonblock;
      if (target.kind === "file" && changed !== 0) target.setFlags(hostFdFlags(flags));
      descriptor.flags = flags;
      return ERRNO.success;
    },
    fd_fdstat_set_rights(fd: number, rightsArg: bigint, inheritingArg: bigint): number {
      const descriptor = descriptors.get(fd);
      const rights = BigInt.asUintN(64, rightsArg);
      const inheriting = BigInt.asUintN(64, inheritingArg);
      const more =
        (rights & ~BigInt(descriptor.rights)) | (inheriting & ~BigInt(descriptor.inheriting));
      if (more !== 0n) throw new WasiError(ERRNO.notcapable);
      descriptor.rights = Number(rights);
      descriptor.inheriting = Number(inheriting);
      return ERRNO.success;
    },
  };
}

function preopenFunctions(state: HostState) {
  const { memory, descriptors } = state;
  return {
    fd_prestat_get(fd: number, result: number): number {
      const { target, preopen } = descriptors.get(fd);
      if (preopen === undefined) throw new WasiError(ERRNO.badf);
      const tag = target.kind === "directory" ? PRESTAT_DIRECTORY : PRESTAT_SOCKET;
      memory.setUint32(result, tag);
      memory.setUint32(result + 4, preopen.name.length);
      return ERRNO.success;
    },
    fd_prestat_dir_name(fd: number, buffer: number, capacity: number): number {
      const { target, preopen } = descriptors.get(fd);
      if (preopen === undefined) throw new WasiError(ERRNO.badf);
      if (target.kind !== "directory") throw new WasiError(ERRNO.notdir);
      if (capacity >>> 0 < preopen.name.length) throw new WasiError(ERRNO.nametoolong);
      memory.copyInto(buffer, capacity, preopen.name);
      return ERRNO.success;
    },
    fd_readdir(
      fd: number,
      buffer: number,
      capacity: number,
      cookieArg: bigint,
      result: number,
    ): number {
      const { target } = descriptors.require(fd, RIGHTS.fdReaddir);
      if (target.kind !== "directory") throw new WasiError(ERRNO.notdir);
      const cookie = Number(BigInt.asUintN(53, cookieArg));
      const output = memory.slice(buffer, capacity);
      const header = new Uint8Array(SIZE.dirent);
      const view = new DataView(header.buffer);
      let used = 0;
      for (const entry of target.entriesFrom(cookie)) {
        view.setBigUint64(0, BigInt(entry.next), true);
        view.setBigUint64(8, entry.inode, true);
        view.setUint32(16, entry.name.length, true);
        view.setUint8(20, entry.fileType);
        // A record that does not fit is cut: a full buffer tells the guest to ask again.
        used += copyPart(output, used, header);
        used += copyPart(output, used, entry.name);
        if (used === output.length) break;
      }
      memory.setUint32(result, used);
      return ERRNO.success;
    },
  };
}

function copyPart(output: Uint8Array, at: number, part: Uint8Array): number {
  const length = Math.min(part.length, output.length - at);
  output.set(part.subarray(0, length), at);
  return length;
}

function fileFunctions(state: HostState) {
  const { memory, descriptors } = state;
  return {
    fd_advise(fd: number, offset: bigint, length: bigint, advice: number): number {
      fileOf(descriptors.require(fd, RIGHTS.fdAdvise));
      if (advice >>> 0 > 5 || offset < 0n || length < 0n) throw new WasiError(ERRNO.inval);
      return ERRNO.success;
    },
    fd_allocate(fd: number, offset: bigint, length: bigint): number {
      const file = fileOf(descriptors.require(fd, RIGHTS.fdAllocate));
      const end = Number(offset) + Number(length);
      if (offset < 0n || length <= 0n) throw new WasiError(ERRNO.inval);
      if (end > MAX_ALLOCATE_BYTES) throw new WasiError(ERRNO.fbig);
      const size = file.size;
      if (end <= size) return ERRNO.success;
      // Sparse: node:fs has no fallocate, and a write of zeros would cost the same on overwrite.
      ftruncateSync(file.fd, end);
      writeSync(file.fd, new Uint8Array(1), 0, 1, end - 1);
      return ERRNO.success;
    },
    fd_datasync(fd: number): number {
      const { target } = descriptors.require(fd, RIGHTS.fdDatasync);
      if (isOnDisk(target)) fdatasyncSync(target.fd);
      return ERRNO.success;
    },
    fd_sync(fd: number): number {
      const { target } = descriptors.require(fd, RIGHTS.fdSync);
      if (isOnDisk(target)) fsyncSync(target.fd);
      return ERRNO.success;
    },
    fd_seek(fd: number, offset: bigint, whence: number, result: number): number {
      const descriptor = descriptors.get(fd);
      const file = seekableOf(descriptor);
      // Asking for the position is also allowed by the right to tell it.
      const tells = offset === 0n && whence === WHENCE.cur;
      const enough = tells ? RIGHTS.fdSeek | RIGHTS.fdTell : RIGHTS.fdSeek;
      if ((descriptor.rights & enough) === 0) throw new WasiError(ERRNO.notcapable);
      memory.setSize64(result, file.seek(Number(offset), whence));
      return ERRNO.success;
    },
    fd_tell(fd: number, result: number): number {
      const descriptor = descriptors.get(fd);
      const file = seekableOf(descriptor);
      if ((descriptor.rights & (RIGHTS.fdSeek | RIGHTS.fdTell)) === 0) {
        throw new WasiError(ERRNO.notcapable);
      }
      memory.setSize64(result, file.position);
      return ERRNO.success;
    },
  };
}

function filestatFunctions(state: HostState) {
  const { memory, descriptors } = state;
  return {
    fd_filestat_get(fd: number, result: number): number {
      const { target } = descriptors.require(fd, RIGHTS.fdFilestatGet);
      if (isOnDisk(target)) {
        writeFilestat(memory, result, fstatSync(target.fd, { bigint: true }));
      } else {
        writeBareFilestat(memory, result, targetFileType(target));
      }
      return ERRNO.success;
    },
    fd_filestat_set_size(fd: number, size: bigint): number {
      const file = fileOf(descriptors.require(fd, RIGHTS.fdFilestatSetSize));
      const bytes = Number(BigInt.asUintN(64, size));
      if (bytes > MAX_ALLOCATE_BYTES) throw new WasiError(size < 0n ? ERRNO.inval : ERRNO.fbig);
      ftruncateSync(file.fd, bytes);
      return ERRNO.success;
    },
    fd_filestat_set_times(fd: number, atim: bigint, mtim: bigint, flags: number): number {
      const { target } = descriptors.require(fd, RIGHTS.fdFilestatSetTimes);
      if (!isOnDisk(target)) throw new WasiError(ERRNO.badf);
      if (target.readOnly) throw new WasiError(ERRNO.rofs);
      const stats = fstatSync(target.fd, { bigint: true });
      const times = newTimes({ stats, atim, mtim, flags, nowNs: state.clock.realtimeNs() });
      setTimes(`/proc/self/fd/${target.fd}`, times, { follow: true });
      return ERRNO.success;
    },
  };
}

function positionedFunctions(state: HostState) {
  const { memory, descriptors } = state;
  return {
    fd_pread(fd: number, iovecs: number, count: number, offset: bigint, result: number): number {
      const file = seekableOf(descriptors.get(fd));
      descriptors.require(fd, RIGHTS.fdRead | RIGHTS.fdSeek);
      const total = file.read(memory.iovecs(iovecs, count), positionOf(offset));
      memory.setUint32(result, total);
      return ERRNO.success;
    },
    fd_pwrite(fd: number, iovecs: number, count: number, offset: bigint, result: number): number {
      const descriptor = descriptors.get(fd);
      const file = seekableOf(descriptor);
      descriptors.require(fd, RIGHTS.fdWrite | RIGHTS.fdSeek);
      const at = positionOf(offset);
      memory.setUint32(result, file.write(memory.iovecs(iovecs, count), descriptor.flags, at));
      return ERRNO.success;
    },
  };
}

function positionOf(offset: bigint): number {
  const position = Number(BigInt.asUintN(64, offset));
  if (!Number.isSafeInteger(position)) throw new WasiError(ERRNO.inval);
  return position;
}

function isOnDisk(target: Target): target is OpenFile | OpenDirectory {
  return target.kind === "file" || target.kind === "directory";
}

function fileOf({ target }: Descriptor): OpenFile {
  if (target.kind === "file") return target;
  throw new WasiError(target.kind === "directory" ? ERRNO.isdir : ERRNO.badf);
}

function seekableOf({ target }: Descriptor): OpenFile {
  if (target.kind === "file") return target;
  throw new WasiError(target.kind === "directory" ? ERRNO.badf : ERRNO.spipe);
}

/** The WASI file type a descriptor reports. */
export function targetFileType(target: Target): number {
  switch (target.kind) {
    case "file":
      return FILE_TYPE.regularFile;
    case "directory":
      return FILE_TYPE.directory;
    case "listener":
    case "connection":
      return FILE_TYPE.socketStream;
    case "output":
      return target.lineBuffered ? FILE_TYPE.characterDevice : FILE_TYPE.unknown;
    case "input":
      return FILE_TYPE.unknown;
  }
}
