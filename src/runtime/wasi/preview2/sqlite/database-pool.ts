import { SQLITE_DATABASES_ANNOTATION, type VolumeGrant } from "../../component/pod-grants.ts";
import type { DenialNotes } from "../denial-notes.ts";
import type { SharedDirectory } from "../filesystem/shared-directory.ts";
import { volumePlace } from "../filesystem/volume-place.ts";
import { DatabaseFile } from "./database-file.ts";
import { ioError, SqliteError } from "./sqlite-error.ts";

/** Connections a container may have at once; each has a page cache of up to 2 MB. */
export const MAX_CONNECTIONS = 64;
/** Connections kept for whoever opens next. */
export const MAX_IDLE_CONNECTIONS = 4;
const INTERFACE = "fermyon:spin/sqlite";

export interface DatabasePoolOptions {
  readonly grants: readonly VolumeGrant[];
  readonly directories: readonly SharedDirectory[];
  readonly denials: DenialNotes;
}

/** The databases of one container: each connection of a guest has an open file of its own. */
export class DatabasePool {
  readonly #options: DatabasePoolOptions;
  readonly #idle: { readonly name: string; readonly file: DatabaseFile }[] = [];
  #lent = 0;
  #closed = false;

  constructor(options: DatabasePoolOptions) {
    this.#options = options;
  }

  /** Throws SqliteError, or what SQLite or the system says. */
  take(name: string): DatabaseFile {
    const { grants, directories, denials } = this.#options;
    const grant = grants.find((one) => one.name === name);
    if (grant === undefined) {
      denials.tell(INTERFACE, `${name}=/PATH/IN/A/VOLUME`, SQLITE_DATABASES_ANNOTATION);
      throw new SqliteError({ tag: "access-denied" });
    }
    const place = volumePlace(directories, grant.path);
    if (place === undefined || place.root.readOnly) {
      const why = `${grant.path} is in no volume that the container mounts to write`;
      denials.unavailable(INTERFACE, `database ${name}`, why);
      throw ioError(why);
    }
    if (this.#lent >= MAX_CONNECTIONS) {
      throw ioError(`the container has ${MAX_CONNECTIONS} connections already`);
    }
    const index = this.#idle.findLastIndex((idle) => idle.name === name);
    const [kept] = index < 0 ? [] : this.#idle.splice(index, 1);
    const file = kept?.file ?? new DatabaseFile(place);
    this.#lent++;
    return file;
  }

  /** Takes a connection back: an open transaction is rolled back. */
  give(name: string, file: DatabaseFile): void {
    this.#lent--;
    const clean = file.reset();
    if (!clean || this.#closed) return file.close();
    this.#idle.push({ name, file });
    if (this.#idle.length > MAX_IDLE_CONNECTIONS) this.#idle.shift()?.file.close();
  }

  close(): void {
    this.#closed = true;
    for (const { file } of this.#idle.splice(0)) file.close();
  }
}
