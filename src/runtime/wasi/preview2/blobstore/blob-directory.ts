import {
  closeSync,
  constants,
  copyFileSync,
  fdatasyncSync,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  renameSync,
  unlinkSync,
  type Dir,
  type Stats,
} from "node:fs";
import type { FileHandle, OpenFiles } from "../filesystem/shared-directory.ts";
import { hostCode } from "../../host/errno.ts";
import { BlobError, blobOperation } from "./blob-error.ts";
import { fileNameOf, MAX_FILE_NAME_BYTES, objectNameOf } from "./blob-name.ts";

/** How the names of files begin that are no objects yet. */
export const TEMPORARY_PREFIX = ".unfinished-";
const SHOWN_NAME_LENGTH = 32;
const SAFE_OPEN = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/** A file on its way to be an object. */
export interface TemporaryFile {
  readonly handle: FileHandle;
  readonly directory: BlobDirectory;
  readonly name: string;
}

/** The objects of a directory, one after the other. */
export interface ObjectNames {
  /** Undefined at the end. */
  next(): string | undefined;
  close(): void;
}

/** The open directory of a container, and the objects in it. */
export class BlobDirectory {
  readonly container: string;
  readonly #handle: FileHandle;
  readonly #files: OpenFiles;

  /** Takes over one use of the handle. */
  constructor(container: string, handle: FileHandle, files: OpenFiles) {
    this.container = container;
    this.#handle = handle;
    this.#files = files;
  }

  retain(): this {
    this.#handle.retain();
    return this;
  }

  release(): void {
    this.#handle.release();
  }

  stat(): Stats {
    return blobOperation(`container ${this.container}`, () => fstatSync(this.#handle.fd));
  }

  /** Of an object; throws BlobError. */
  statObject(object: string): Stats {
    return this.#operate(object, (path) => regular(lstatSync(path)));
  }

  has(object: string): boolean {
    return this.#operate(
      object,
      (path) => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true,
    );
  }

  /** Opens an object to be read: what is read stays the same, whatever becomes of the object. */
  open(object: string): { readonly handle: FileHandle; readonly size: number } {
    return this.#operate(object, (path) => {
      regular(lstatSync(path));
      this.#requireRoom();
      const fd = openSync(path, constants.O_RDONLY | SAFE_OPEN);
      try {
        return { handle: this.#files.handle(fd), size: regular(fstatSync(fd)).size };
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    });
  }

  /** Removes an object, if it is there. */
  remove(object: string): void {
    this.#operate(object, (path) => {
      if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === true) unlinkSync(path);
    });
  }

  /** Makes an empty file that is no object. Takes a use of this directory. */
  temporary(): TemporaryFile {
    const name = `${TEMPORARY_PREFIX}${crypto.randomUUID()}`;
    return blobOperation(`container ${this.container}`, () => {
      this.#requireRoom();
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | SAFE_OPEN;
      const handle = this.#files.handle(openSync(this.#path(name), flags, 0o644));
      return { handle, directory: this.retain(), name };
    });
  }

  /** Makes a file that is written completely the object of that name. */
  commit(file: TemporaryFile, object: string): void {
    this.#operate(object, (path) => {
      fdatasyncSync(file.handle.fd);
      const source = file.directory.#path(file.name);
      try {
        renameSync(source, path);
      } catch (error) {
        if (hostCode(error) !== "EXDEV") throw error;
        this.#copy(file.handle, object);
        unlinkSync(source);
      }
    });
  }

  /** Makes a copy of an object of another directory, or of this one. */
  copyFrom(source: BlobDirectory, object: string, target: string): void {
    const { handle } = source.open(object);
    try {
      this.#copy(handle, target);
    } finally {
      handle.release();
    }
  }

  /** Renames an object, from another directory or within this one. */
  moveFrom(source: BlobDirectory, object: string, target: string): void {
    source.statObject(object);
    const from = source.#pathOf(object);
    this.#operate(target, (to) => {
      try {
        renameSync(from, to);
      } catch (error) {
        if (hostCode(error) !== "EXDEV") throw error;
        this.copyFrom(source, object, target);
        source.remove(object);
      }
    });
  }

  /** The names of objects. Takes a use of this directory, and gives it back at its close. */
  entries(): ObjectNames {
    const directory: Dir = blobOperation(`container ${this.container}`, () =>
      opendirSync(`/proc/self/fd/${this.#handle.fd}`),
    );
    this.retain();
    const close = () => {
      directory.closeSync();
      this.release();
    };
    const next = () => {
      for (;;) {
        const entry = blobOperation(`container ${this.container}`, () => directory.readSync());
        if (entry === null) return undefined;
        const name = entry.isFile() ? objectNameOf(entry.name) : undefined;
        if (name !== undefined) return name;
      }
    };
    return { next, close };
  }

  /** Removes all objects. */
  clear(): void {
    const entries = this.entries();
    try {
      // A directory must not be changed while it is read: some of its entries could be left out.
      const names: string[] = [];
      for (let name = entries.next(); name !== undefined; name = entries.next()) names.push(name);
      for (const name of names) this.remove(name);
    } finally {
      entries.close();
    }
  }

  discard({ name }: TemporaryFile): void {
    try {
      unlinkSync(this.#path(name));
    } catch (error) {
      if (hostCode(error) === undefined) throw error;
    }
  }

  /** By descriptors: whoever shares the volume may put links in place of names meanwhile. */
  #copy(source: FileHandle, object: string): void {
    const file = this.temporary();
    const pathOf = ({ fd }: FileHandle) => `/proc/self/fd/${fd}`;
    try {
      const copy = () =>
        copyFileSync(pathOf(source), pathOf(file.handle), constants.COPYFILE_FICLONE);
      blobOperation(`object ${object}`, copy);
      this.commit(file, object);
    } catch (error) {
      this.discard(file);
      throw error;
    } finally {
      file.handle.release();
      file.directory.release();
    }
  }

  #operate<Result>(object: string, run: (path: string) => Result): Result {
    const path = this.#pathOf(object);
    return blobOperation(`object ${object}`, () => run(path));
  }

  #pathOf(object: string): string {
    const name = fileNameOf(object);
    if (name !== undefined) return this.#path(name);
    const start = object.slice(0, SHOWN_NAME_LENGTH);
    throw new BlobError(`object ${start}…: a name longer than ${MAX_FILE_NAME_BYTES} bytes`);
  }

  #path(name: string): string {
    return `/proc/self/fd/${this.#handle.fd}/${name}`;
  }

  #requireRoom(): void {
    if (this.#files.exhausted) throw new BlobError("too many objects are open");
  }
}

function regular(stats: Stats): Stats {
  if (!stats.isFile()) throw new BlobError("not an object but something else of that name");
  return stats;
}
