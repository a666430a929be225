import {
  ALL_RIGHTS,
  CONNECTION_RIGHTS,
  DIRECTORY_RIGHTS,
  FILE_RIGHTS,
  LISTENER_RIGHTS,
  RIGHTS,
  STREAM_RIGHTS,
} from "./abi.ts";
import type { Connection } from "./connection.ts";
import { ERRNO, WasiError } from "./errno.ts";
import type { Listener } from "./listener.ts";
import type { OpenDirectory } from "./open-directory.ts";
import type { OpenFile } from "./open-file.ts";
import type { InputStream, OutputStream } from "./streams.ts";

/** Descriptors a guest may have open at once; the next answers EMFILE. */
export const MAX_DESCRIPTORS = 8192;

export type Target = OpenFile | OpenDirectory | InputStream | OutputStream | Listener | Connection;

/** What a descriptor number stands for. */
export interface Descriptor {
  readonly target: Target;
  rights: number;
  inheriting: number;
  /** FD_FLAGS as the guest set them. */
  flags: number;
  /** The name fd_prestat_dir_name tells, for what was open at start. */
  readonly preopen?: { readonly name: Uint8Array };
}

/** The guest's descriptors. New ones take the lowest free number, as POSIX wants. */
export class DescriptorTable {
  readonly #slots: (Descriptor | undefined)[] = [];
  readonly #limit: number;
  #free = 0;
  #open = 0;

  constructor(limit = MAX_DESCRIPTORS) {
    this.#limit = limit;
  }

  /** Throws EMFILE at the limit: for calls that would leave something behind otherwise. */
  requireRoom(): void {
    if (this.#open >= this.#limit) throw new WasiError(ERRNO.mfile);
  }

  /** Throws EMFILE at the limit; the caller closes what it wanted to insert. */
  insert(descriptor: Descriptor): number {
    this.requireRoom();
    while (this.#slots[this.#free] !== undefined) this.#free++;
    this.#slots[this.#free] = descriptor;
    this.#open++;
    return this.#free++;
  }

  /** Throws EBADF. */
  get(fd: number): Descriptor {
    const descriptor = this.#slots[fd >>> 0];
    if (descriptor === undefined) throw new WasiError(ERRNO.badf);
    return descriptor;
  }

  find(fd: number): Descriptor | undefined {
    return this.#slots[fd >>> 0];
  }

  /** Throws EBADF, or ENOTCAPABLE when one of the rights is missing. */
  require(fd: number, rights: number): Descriptor {
    const descriptor = this.get(fd);
    if ((descriptor.rights & rights) !== rights) throw new WasiError(ERRNO.notcapable);
    return descriptor;
  }

  close(fd: number): void {
    const descriptor = this.get(fd);
    this.#slots[fd >>> 0] = undefined;
    this.#free = Math.min(this.#free, fd >>> 0);
    this.#open--;
    closeTarget(descriptor.target);
  }

  /** Moves `from` to `to`, which must be open and is closed. */
  renumber(from: number, to: number): void {
    const source = this.get(from);
    const replaced = this.get(to);
    if (from === to) return;
    this.#slots[to >>> 0] = source;
    this.#slots[from >>> 0] = undefined;
    this.#free = Math.min(this.#free, from >>> 0);
    this.#open--;
    closeTarget(replaced.target);
  }

  closeAll(): void {
    for (const [fd, descriptor] of this.#slots.entries()) {
      if (descriptor !== undefined) this.close(fd);
    }
  }
}

/** A descriptor with every right its kind can have. */
export function fullDescriptor(target: Target, flags = 0): Descriptor {
  const [rights, inheriting] = rightsOf(target);
  return { target, rights, inheriting, flags };
}

function rightsOf(target: Target): readonly [rights: number, inheriting: number] {
  switch (target.kind) {
    case "file":
      return [FILE_RIGHTS, 0];
    case "directory":
      return [DIRECTORY_RIGHTS, ALL_RIGHTS];
    case "input":
      return [STREAM_RIGHTS | RIGHTS.fdRead, 0];
    case "output":
      return [STREAM_RIGHTS | RIGHTS.fdWrite, 0];
    case "connection":
      return [CONNECTION_RIGHTS, 0];
    case "listener":
      return [LISTENER_RIGHTS, CONNECTION_RIGHTS];
  }
}

function closeTarget(target: Target): void {
  switch (target.kind) {
    case "file":
    case "directory":
    case "listener":
    case "connection":
      return target.close();
    case "input":
    case "output":
      return undefined;
  }
}
