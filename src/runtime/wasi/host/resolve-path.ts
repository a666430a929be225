import { closeSync, constants, lstatSync, openSync, readlinkSync } from "node:fs";
import { ERRNO, hostCode, WasiError } from "./errno.ts";

/** Symbolic links followed in one resolution, as many as Linux follows. */
export const MAX_SYMLINKS = 40;
/** Components of one path, those of its links included. */
export const MAX_COMPONENTS = 4096;
export const MAX_PATH_BYTES = 4096;

/** O_PATH opens a directory without the permission to read it. */
const O_PATH = 0o10000000;
const WALK_FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Where a guest's path leads: a name in a directory that is held open. `hostPath` names the same
 * thing through /proc/self/fd, so that nobody who renames a directory meanwhile can redirect it;
 * its last component must only be used by calls that do not follow a link.
 */
export interface ResolvedPath {
  /** Never `..`; `.` stands for the directory itself. */
  readonly name: string;
  readonly hostPath: string;
  /** The path ended in a slash: only a directory will do. */
  readonly wantsDirectory: boolean;
}

/**
 * Resolves a path against an open directory and hands it to `use`. Each component is opened without
 * following links; links are read and resolved here, and nothing leads above the directory: `..`
 * closes the directory it came through, instead of asking the file system for the parent.
 *
 * Throws EPERM for a path that is absolute or leaves the directory, ELOOP, ENOENT, ENOTDIR …
 */
export function withResolvedPath<Result>(
  root: number,
  path: string,
  options: { readonly follow: boolean },
  use: (resolved: ResolvedPath) => Result,
): Result {
  const walk = new Walk(root);
  try {
    return use(walk.resolve(path, options));
  } finally {
    walk.close();
  }
}

class Walk {
  readonly #root: number;
  /** Directories opened on the way down, the deepest last. */
  readonly #opened: number[] = [];
  #symlinks = 0;

  constructor(root: number) {
    this.#root = root;
  }

  close(): void {
    for (const fd of this.#opened) closeSync(fd);
  }

  resolve(path: string, options: { readonly follow: boolean }): ResolvedPath {
    // Reversed, so that a link's components go in cheaply: the next one is the last.
    const todo = componentsOf(path);
    let wantsDirectory = endsAsDirectory(path);
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      if (next === "..") {
        this.#leave();
        continue;
      }
      const last = todo.length === 0;
      if (last && !options.follow && !wantsDirectory) return this.#result(next, false);
      const link = last ? this.#linkAt(next) : this.#enter(next);
      if (link === undefined) {
        if (last) return this.#result(next, wantsDirectory);
        continue;
      }
      this.#symlinks++;
      if (this.#symlinks > MAX_SYMLINKS) throw new WasiError(ERRNO.loop);
      if (last && endsAsDirectory(link)) wantsDirectory = true;
      todo.push(...componentsOf(link));
      if (todo.length > MAX_COMPONENTS) throw new WasiError(ERRNO.nametoolong);
    }
    return this.#result(".", true);
  }

  /** Opens the directory; or, when it is a link, answers where that points. */
  #enter(name: string): string | undefined {
    try {
      this.#opened.push(openSync(this.#pathOf(name), WALK_FLAGS));
      return undefined;
    } catch (error) {
      const code = hostCode(error);
      if (code !== "ENOTDIR" && code !== "ELOOP") throw error;
      const link = this.#linkAt(name);
      if (link === undefined) throw new WasiError(ERRNO.notdir);
      return link;
    }
  }

  #leave(): void {
    const left = this.#opened.pop();
    if (left === undefined) throw new WasiError(ERRNO.perm);
    closeSync(left);
  }

  #linkAt(name: string): string | undefined {
    const path = this.#pathOf(name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined || !stats.isSymbolicLink()) return undefined;
    return readlinkSync(path);
  }

  #pathOf(name: string): string {
    return `/proc/self/fd/${this.#opened.at(-1) ?? this.#root}/${name}`;
  }

  #result(name: string, wantsDirectory: boolean): ResolvedPath {
    return { name, hostPath: this.#pathOf(name), wantsDirectory };
  }
}

/** The components, last first, without empty ones and dots. */
function componentsOf(path: string): string[] {
  if (path.startsWith("/")) throw new WasiError(ERRNO.perm);
  if (path.length === 0) throw new WasiError(ERRNO.noent);
  const components = path.split("/").filter((part) => part !== "" && part !== ".");
  if (components.length > MAX_COMPONENTS) throw new WasiError(ERRNO.nametoolong);
  return components.reverse();
}

function endsAsDirectory(path: string): boolean {
  return path.endsWith("/") || path.endsWith("/.") || path === ".";
}
