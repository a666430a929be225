import { closeSync, fstatSync, lstatSync, readdirSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { FILE_TYPE } from "./abi.ts";

export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly inode: bigint;
  readonly fileType: number;
}

const encoder = new TextEncoder();

/** A directory held open: paths resolve against it, wherever it is moved to. */
export class OpenDirectory {
  readonly kind = "directory";
  readonly fd: number;
  /** Nothing reached through it may be changed. */
  readonly readOnly: boolean;
  #entries: readonly DirectoryEntry[] | undefined;

  constructor(fd: number, options: { readonly readOnly: boolean }) {
    this.fd = fd;
    this.readOnly = options.readOnly;
  }

  /**
   * The entries from `cookie` on; a cookie is the index of the next entry. Cookie 0 reads the
   * directory anew, later ones continue the same snapshot.
   */
  entriesFrom(cookie: number): readonly DirectoryEntry[] {
    if (cookie === 0 || this.#entries === undefined) this.#entries = this.#snapshot();
    return this.#entries.slice(cookie);
  }

  close(): void {
    closeSync(this.fd);
  }

  #snapshot(): DirectoryEntry[] {
    const self = fstatSync(this.fd, { bigint: true });
    const dots = [".", ".."].map((name) => ({
      name: encoder.encode(name),
      // The parent's inode is not the guest's business.
      inode: self.ino,
      fileType: FILE_TYPE.directory,
    }));
    const names = readdirSync(`/proc/self/fd/${this.fd}`).sort();
    const entries = names.flatMap((name) => {
      const path = `/proc/self/fd/${this.fd}/${name}`;
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats === undefined) return [];
      return [{ name: encoder.encode(name), inode: stats.ino, fileType: fileTypeOf(stats) }];
    });
    return [...dots, ...entries];
  }
}

/** The WASI file type of what stat found. */
export function fileTypeOf(stats: BigIntStats): number {
  if (stats.isFile()) return FILE_TYPE.regularFile;
  if (stats.isDirectory()) return FILE_TYPE.directory;
  if (stats.isSymbolicLink()) return FILE_TYPE.symbolicLink;
  if (stats.isCharacterDevice()) return FILE_TYPE.characterDevice;
  if (stats.isBlockDevice()) return FILE_TYPE.blockDevice;
  if (stats.isSocket()) return FILE_TYPE.socketStream;
  return FILE_TYPE.unknown;
}
