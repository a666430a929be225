import { closeSync, constants, openSync } from "node:fs";
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
  readonly #onClose: (() => void) | undefined;
  #users = 1;

  /** Without `onClose` somebody else closes the file. */
  constructor(fd: number, onClose?: () => void) {
    this.fd = fd;
    this.#onClose = onClose;
  }

  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0 || this.#onClose === undefined) return;
    closeSync(this.fd);
    this.#onClose();
  }
}

/** Counts what one instance has open. */
export class OpenFileBudget {
  #open = 0;

  get open(): number {
    return this.#open;
  }

  get exhausted(): boolean {
    return this.#open >= MAX_OPEN_FILES;
  }

  handle(fd: number): FileHandle {
    this.#open++;
    return new FileHandle(fd, () => this.#open--);
  }
}
