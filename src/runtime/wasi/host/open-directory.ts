import { closeSync, fstatSync, lstatSync, readdirSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { FILE_TYPE } from "./abi.ts";

export interface DirectoryEntry {
  readonly name: Uint8Array;
  /** The cookie of the entry after this one. */
  readonly next: number;
  readonly inode: bigint;
  readonly fileType: number;
}

const encoder = new TextEncoder();

/** Names that all listings of a guest may hold together; the oldest ones are given up first. */
export const MAX_LISTED_NAMES = 1_000_000;

/**
 * What fd_readdir remembers between calls: the names each directory had when it was read from its
 * beginning, so that a cookie is an index. A listing that had to go is read anew.
 */
export class DirectoryListings {
  readonly #maxNames: number;
  /** The one used longest ago first. */
  readonly #names = new Map<OpenDirectory, readonly string[]>();
  #count = 0;

  constructor(maxNames = MAX_LISTED_NAMES) {
    this.#maxNames = maxNames;
  }

  get count(): number {
    return this.#count;
  }

  /** The listing taken before, or with `renew` a new one. */
  of(directory: OpenDirectory, options: { readonly renew: boolean }): readonly string[] {
    const known = this.#names.get(directory);
    this.drop(directory);
    const names = known === undefined || options.renew ? namesIn(directory) : known;
    this.#names.set(directory, names);
    this.#count += names.length;
    for (const [oldest] of this.#names) {
      if (this.#count <= this.#maxNames || oldest === directory) break;
      this.drop(oldest);
    }
    return names;
  }

  drop(directory: OpenDirectory): void {
    this.#count -= this.#names.get(directory)?.length ?? 0;
    this.#names.delete(directory);
  }
}

/** In an order of their own, so that a listing read anew goes on where the former one was. */
function namesIn(directory: OpenDirectory): readonly string[] {
  return readdirSync(`/proc/self/fd/${directory.fd}`).sort();
}

/** Entries that every directory has, and that are not on disk. */
const DOTS = [".", ".."];

/** A directory held open: paths resolve against it, wherever it is moved to. */
export class OpenDirectory {
  readonly kind = "directory";
  readonly fd: number;
  /** Nothing reached through it may be changed. */
  readonly readOnly: boolean;
  readonly listings: DirectoryListings;

  constructor(
    fd: number,
    options: { readonly readOnly: boolean; readonly listings: DirectoryListings },
  ) {
    this.fd = fd;
    this.readOnly = options.readOnly;
    this.listings = options.listings;
  }

  /**
   * The entries from `cookie` on; a cookie is the index of the next entry. Cookie 0 reads the
   * directory anew, later ones go on in the same listing; what vanished since is left out.
   */
  *entriesFrom(cookie: number): Generator<DirectoryEntry> {
    const names = this.listings.of(this, { renew: cookie === 0 });
    for (let index = cookie; index < names.length + DOTS.length; index++) {
      const entry = this.#entryAt(index, names);
      if (entry !== undefined) yield entry;
    }
  }

  close(): void {
    this.listings.drop(this);
    closeSync(this.fd);
  }

  #entryAt(index: number, names: readonly string[]): DirectoryEntry | undefined {
    const next = index + 1;
    const dot = DOTS[index];
    if (dot !== undefined) {
      // The parent's inode is not the guest's business.
      const { ino } = fstatSync(this.fd, { bigint: true });
      return { name: encoder.encode(dot), next, inode: ino, fileType: FILE_TYPE.directory };
    }
    const name = names[index - DOTS.length] ?? "";
    const path = `/proc/self/fd/${this.fd}/${name}`;
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    return { name: encoder.encode(name), next, inode: stats.ino, fileType: fileTypeOf(stats) };
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
