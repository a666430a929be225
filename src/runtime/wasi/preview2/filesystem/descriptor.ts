import {
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { GuestTrap } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { InputStream } from "../io/input-stream.ts";
import { OutputStream } from "../io/output-stream.ts";
import { Resource } from "../io/resource.ts";
import { DirectoryEntryStream } from "./directory-entry-stream.ts";
import { FileError, fileOperation } from "./file-error.ts";
import {
  descriptorStat,
  metadataHash,
  type DescriptorType,
  type NewTimestamp,
} from "./file-stat.ts";
import { FileSink, FileSource } from "./file-streams.ts";
import { openPath, type DescriptorFlags, type OpenFlags } from "./open-path.ts";
import {
  atPath,
  createDirectory,
  makeLink,
  makeSymlink,
  readLink,
  removeDirectory,
  renamePath,
  setPathTimes,
  statPath,
  unlinkFile,
  type PathFlags,
} from "./path-operations.ts";
import type { FileHandle, OpenFiles } from "./shared-directory.ts";

/** Bytes of one read of a descriptor. */
export const MAX_FILE_READ_BYTES = 1024 * 1024;
const MAX_FILE_BYTES = 2n ** 40n;
const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);

export interface DescriptorOptions {
  readonly handle: FileHandle;
  readonly kind: "file" | "directory";
  readonly flags: DescriptorFlags;
  readonly files: OpenFiles;
  /** Nothing in the volume may be changed, times included. */
  readonly readOnlyVolume: boolean;
}

/** The resource `descriptor` of wasi:filesystem/types. */
export class Descriptor extends Resource {
  readonly #handle: FileHandle;
  readonly #kind: "file" | "directory";
  readonly #flags: DescriptorFlags;
  readonly #files: OpenFiles;
  readonly #readOnlyVolume: boolean;

  /** Takes over one use of the handle. */
  constructor(scope: InstanceScope, options: DescriptorOptions) {
    super(scope);
    const { handle, kind, flags, files, readOnlyVolume } = options;
    this.#handle = handle;
    this.#kind = kind;
    this.#flags = flags;
    this.#files = files;
    this.#readOnlyVolume = readOnlyVolume;
  }

  // Files.

  readViaStream(offset: bigint): InputStream {
    this.#requireFile("read");
    const source = new FileSource(this.#handle.retain(), positionOf(offset));
    return new InputStream(this.scope, source);
  }

  writeViaStream(offset: bigint): OutputStream {
    this.#requireFile("write");
    return new OutputStream(this.scope, new FileSink(this.#handle.retain(), positionOf(offset)));
  }

  appendViaStream(): OutputStream {
    this.#requireFile("write");
    // The kernel appends, so that streams of several instances do not overwrite each other.
    const flags = constants.O_WRONLY | constants.O_APPEND;
    const handle = this.#open(() => openSync(this.#selfPath, flags));
    return new OutputStream(this.scope, new FileSink(handle, null));
  }

  advise(_offset: bigint, _length: bigint, _advice: string): void {
    if (this.#kind === "directory") throw new FileError("bad-descriptor");
  }

  syncData(): void {
    fileOperation(() => fdatasyncSync(this.#fd));
  }

  sync(): void {
    fileOperation(() => fsyncSync(this.#fd));
  }

  getFlags(): DescriptorFlags {
    return {
      read: this.#flags.read === true,
      write: this.#flags.write === true,
      fileIntegritySync: this.#flags.fileIntegritySync === true,
      dataIntegritySync: this.#flags.dataIntegritySync === true,
      requestedWriteSync: this.#flags.requestedWriteSync === true,
      mutateDirectory: this.#flags.mutateDirectory === true,
    };
  }

  getType(): DescriptorType {
    return this.#kind === "directory" ? "directory" : "regular-file";
  }

  setSize(size: bigint): void {
    this.#requireFile("write");
    if (size > MAX_FILE_BYTES) throw new FileError("file-too-large");
    fileOperation(() => ftruncateSync(this.#fd, Number(size)));
  }

  setTimes(access: NewTimestamp, modification: NewTimestamp): void {
    if (this.#readOnlyVolume) throw new FileError("read-only");
    fileOperation(() => {
      const times = { access, modification, nowNs: this.scope.clock.realtimeNs() };
      setPathTimes(this.#selfPath, this.#stats(), times, { follow: true });
    });
  }

  read(length: bigint, offset: bigint): [Uint8Array, boolean] {
    this.#requireFile("read");
    const limit = length > BigInt(MAX_FILE_READ_BYTES) ? MAX_FILE_READ_BYTES : Number(length);
    const buffer = new Uint8Array(limit);
    const position = positionOf(offset);
    const count = fileOperation(() => readSync(this.#fd, buffer, 0, limit, position));
    return [buffer.subarray(0, count), count < limit];
  }

  write(buffer: Uint8Array, offset: bigint): bigint {
    this.#requireFile("write");
    const position = positionOf(offset);
    return BigInt(fileOperation(() => writeSync(this.#fd, buffer, 0, buffer.length, position)));
  }

  stat() {
    return descriptorStat(fileOperation(() => this.#stats()));
  }

  isSameObject(other: Descriptor): boolean {
    const [mine, theirs] = [this.#stats(), other.#stats()];
    return mine.dev === theirs.dev && mine.ino === theirs.ino;
  }

  metadataHash() {
    return metadataHash(fileOperation(() => this.#stats()));
  }

  // Directories and what is below them.

  readDirectory(): DirectoryEntryStream {
    this.#requireDirectory();
    if (this.#files.exhausted) throw new FileError("insufficient-memory");
    return fileOperation(() => new DirectoryEntryStream(this.scope, this.#handle.retain()));
  }

  createDirectoryAt(path: string): void {
    this.#requireMutable();
    fileOperation(() => createDirectory(this.#fd, path));
  }

  statAt(flags: PathFlags, path: string) {
    this.#requireDirectory();
    return descriptorStat(fileOperation(() => statPath(this.#fd, path, flags)));
  }

  setTimesAt(
    flags: PathFlags,
    path: string,
    access: NewTimestamp,
    modification: NewTimestamp,
  ): void {
    this.#requireMutable();
    const times = { access, modification, nowNs: this.scope.clock.realtimeNs() };
    fileOperation(() => {
      const stats = statPath(this.#fd, path, flags);
      atPath(this.#fd, path, flags, ({ hostPath }) => setPathTimes(hostPath, stats, times));
    });
  }

  linkAt(flags: PathFlags, oldPath: string, target: Descriptor, newPath: string): void {
    this.#requireMutable();
    target.#requireMutable();
    // Following is refused: the link would be made on whatever was swapped in.
    if (flags.symlinkFollow === true) throw new FileError("invalid");
    fileOperation(() => makeLink(this.#pair(oldPath, target, newPath)));
  }

  openAt(
    flags: PathFlags,
    path: string,
    openFlags: OpenFlags,
    wanted: DescriptorFlags,
  ): Descriptor {
    this.#requireDirectory();
    const changes = openFlags.create === true || openFlags.truncate === true;
    const writes = wanted.write === true || wanted.mutateDirectory === true;
    if (changes || writes) this.#requireMutable();
    if (this.#files.exhausted) throw new FileError("insufficient-memory");
    const exclusive = openFlags.create === true && openFlags.exclusive === true;
    const follow = { symlinkFollow: flags.symlinkFollow === true && !exclusive };
    return fileOperation(() => {
      const { fd, kind } = atPath(this.#fd, path, follow, (resolved) =>
        openPath(resolved, openFlags, wanted),
      );
      const handle = this.#files.handle(fd);
      try {
        return new Descriptor(this.scope, {
          handle,
          kind,
          flags: wanted,
          files: this.#files,
          readOnlyVolume: this.#readOnlyVolume,
        });
      } catch (error) {
        handle.release();
        throw error;
      }
    });
  }

  readlinkAt(path: string): string {
    this.#requireDirectory();
    return fileOperation(() => readLink(this.#fd, path));
  }

  removeDirectoryAt(path: string): void {
    this.#requireMutable();
    fileOperation(() => removeDirectory(this.#fd, path));
  }

  renameAt(oldPath: string, target: Descriptor, newPath: string): void {
    this.#requireMutable();
    target.#requireMutable();
    fileOperation(() => renamePath(this.#pair(oldPath, target, newPath)));
  }

  symlinkAt(oldPath: string, newPath: string): void {
    this.#requireMutable();
    fileOperation(() => makeSymlink(this.#fd, oldPath, newPath));
  }

  unlinkFileAt(path: string): void {
    this.#requireMutable();
    fileOperation(() => unlinkFile(this.#fd, path));
  }

  metadataHashAt(flags: PathFlags, path: string) {
    this.#requireDirectory();
    return metadataHash(fileOperation(() => statPath(this.#fd, path, flags)));
  }

  protected override released(): void {
    this.#handle.release();
  }

  get #fd(): number {
    this.#requireLive();
    return this.#handle.fd;
  }

  get #selfPath(): string {
    return `/proc/self/fd/${this.#fd}`;
  }

  #stats() {
    return fstatSync(this.#fd, { bigint: true });
  }

  #pair(oldPath: string, target: Descriptor, newPath: string) {
    return { from: this.#fd, oldPath, to: target.#fd, newPath };
  }

  #open(open: () => number): FileHandle {
    if (this.#files.exhausted) throw new FileError("insufficient-memory");
    return this.#files.handle(fileOperation(open));
  }

  /** Once it is closed, the number may be another file's. */
  #requireLive(): void {
    if (!this.live) throw new GuestTrap("a descriptor was used after it was dropped");
  }

  #requireFile(access: "read" | "write"): void {
    this.#requireLive();
    if (this.#kind === "directory") throw new FileError("is-directory");
    if (this.#flags[access] !== true) throw new FileError("bad-descriptor");
  }

  #requireDirectory(): void {
    this.#requireLive();
    if (this.#kind !== "directory") throw new FileError("not-directory");
  }

  #requireMutable(): void {
    this.#requireDirectory();
    if (this.#flags.mutateDirectory !== true) throw new FileError("read-only");
  }
}

function positionOf(offset: bigint): number {
  if (offset > MAX_OFFSET) throw new FileError("invalid");
  return Number(offset);
}
