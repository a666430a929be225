import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { BLOB_CONTAINERS_ANNOTATION, type VolumeGrant } from "../../component/pod-grants.ts";
import { hostCode } from "../../host/errno.ts";
import type { HostClock } from "../../host/host-clock.ts";
import { withResolvedPath } from "../../host/resolve-path.ts";
import type { DenialNotes } from "../denial-notes.ts";
import type { SharedDirectory } from "../filesystem/shared-directory.ts";
import { type VolumePlace, volumePlace } from "../filesystem/volume-place.ts";
import { TEMPORARY_PREFIX } from "./blob-directory.ts";
import { BlobError, blobOperation } from "./blob-error.ts";

/** What nobody has written to for so long was left by a crash. */
export const STALE_TEMPORARY_MS = 24 * 3_600_000;
const INTERFACE = "wasi:blobstore/blobstore";
const DIRECTORY_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface BlobStoreOptions {
  readonly grants: readonly VolumeGrant[];
  readonly directories: readonly SharedDirectory[];
  readonly denials: DenialNotes;
  readonly clock: HostClock;
}

/**
 * The containers of wasi:blobstore that a container of the pod was granted: directories in its
 * volumes. They are there from the beginning; what a guest deletes it can create again.
 */
export class BlobStore {
  readonly #options: BlobStoreOptions;
  readonly #prepared = new Set<string>();

  constructor(options: BlobStoreOptions) {
    this.#options = options;
  }

  get names(): readonly string[] {
    return this.#options.grants.map(({ name }) => name);
  }

  /** Opens a container's directory; the caller owns the descriptor. Throws BlobError. */
  open(name: string): number {
    const { root, path } = this.#placeOf(name);
    return blobOperation(`container ${name}`, () =>
      withResolvedPath(root.fd, path, { follow: true }, ({ hostPath }) =>
        openSync(hostPath, DIRECTORY_FLAGS),
      ),
    );
  }

  exists(name: string): boolean {
    const { root, path } = this.#placeOf(name);
    return blobOperation(`container ${name}`, () =>
      withResolvedPath(root.fd, path, { follow: true }, ({ hostPath }) => {
        return lstatSync(hostPath, { throwIfNoEntry: false })?.isDirectory() === true;
      }),
    );
  }

  /** Makes a container's directory unless it is there. */
  create(name: string): void {
    make(name, this.#placeOf(name));
  }

  /** Removes an empty container. */
  remove(name: string): void {
    const { root, path } = this.#placeOf(name);
    if (path === ".") throw new BlobError(`container ${name} is a whole volume: it stays`);
    blobOperation(`container ${name}`, () =>
      withResolvedPath(root.fd, path, { follow: false }, ({ hostPath }) => rmdirSync(hostPath)),
    );
  }

  #placeOf(name: string): VolumePlace {
    const { grants, directories, denials } = this.#options;
    const grant = grants.find((one) => one.name === name);
    if (grant === undefined) {
      denials.tell(INTERFACE, `${name}=/PATH/IN/A/VOLUME`, BLOB_CONTAINERS_ANNOTATION);
      throw new BlobError(`container ${name}: access denied`);
    }
    const place = volumePlace(directories, grant.path);
    if (place === undefined || place.root.readOnly) {
      const why = `${grant.path} is in no volume that the container mounts to write`;
      denials.unavailable(INTERFACE, `container ${name}`, why);
      throw new BlobError(`container ${name}: ${why}`);
    }
    if (!this.#prepared.has(name)) {
      this.#prepared.add(name);
      make(name, place);
      this.#sweep(name);
    }
    return place;
  }

  /** Removes what a crash left of objects that were never finished. */
  #sweep(name: string): void {
    const directory = this.open(name);
    try {
      const before = Number(this.#options.clock.realtimeNs() / 1_000_000n) - STALE_TEMPORARY_MS;
      for (const entry of readdirSync(`/proc/self/fd/${directory}`)) {
        const path = `/proc/self/fd/${directory}/${entry}`;
        if (!entry.startsWith(TEMPORARY_PREFIX)) continue;
        const stats = lstatSync(path, { throwIfNoEntry: false });
        if (stats?.isFile() === true && stats.mtimeMs < before) unlinkSync(path);
      }
    } finally {
      closeSync(directory);
    }
  }
}

function make(name: string, { root, path }: VolumePlace): void {
  const parts = path.split("/").filter((part) => part !== ".");
  for (let depth = 1; depth <= parts.length; depth++) {
    const part = parts.slice(0, depth).join("/");
    blobOperation(`container ${name}`, () =>
      withResolvedPath(root.fd, part, { follow: true }, ({ hostPath }) => {
        try {
          mkdirSync(hostPath, 0o755);
        } catch (error) {
          if (hostCode(error) !== "EEXIST") throw error;
        }
      }),
    );
  }
}
