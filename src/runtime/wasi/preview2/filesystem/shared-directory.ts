import { closeSync, constants, openSync } from "node:fs";
import type { Owned } from "../io/instance-scope.ts";
import type { WorkerPreopen } from "../../worker-protocol.ts";

/** Files and directories an instance may have open, beyond those it was given. */
export const MAX_OPEN_FILES = 1024;

/** A preopened directory of a container: opened once, used by all of its instances. */
export class SharedDirectory {
  readonly guestPath: string;
  readonly readOnly: boolean;
  readonly fd: number;

  /** Throws what the system says when it cannot be opened. */
  constructor({ guestPath, hostPath, readOnly }: WorkerPreopen) {
    this.guestPath = guestPath;
    this.readOnly = readOnly;
    this.fd = openSync(hostPath, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** An open file that its descriptor and its streams share: the last one closes it. */
export class FileHandle {
  readonly fd: number;
  readonly #close: () => void;
  #users = 1;

  constructor(fd: number, close: () => void) {
    this.fd = fd;
    this.#close = close;
  }

  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0) this.#close();
  }
}

/** What one instance has open; its end closes what is left. */
export class OpenFiles implements Owned {
  readonly #open = new Set<number>();

  get exhausted(): boolean {
    return this.#open.size >= MAX_OPEN_FILES;
  }

  /** Takes over an open file. */
  handle(fd: number): FileHandle {
    this.#open.add(fd);
    return new FileHandle(fd, () => this.#close(fd));
  }

  end(): void {
    for (const fd of this.#open) this.#close(fd);
  }

  #close(fd: number): void {
    if (this.#open.delete(fd)) closeSync(fd);
  }
}
