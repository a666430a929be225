import type { Socket } from "bun";

/** A socket as it is written to; Bun's fits. */
export type WritableSocket = Pick<Socket<unknown>, "write">;

/** Writes in order, and holds what the kernel does not take at once. */
export class SocketWriter {
  readonly #socket: WritableSocket;
  #rest: Uint8Array[] = [];
  #held = 0;

  constructor(socket: WritableSocket) {
    this.#socket = socket;
  }

  get heldBytes(): number {
    return this.#held;
  }

  write(bytes: Uint8Array): void {
    const taken = this.#held > 0 ? 0 : Math.max(0, this.#socket.write(bytes));
    if (taken >= bytes.length) return;
    this.#rest.push(bytes.subarray(taken));
    this.#held += bytes.length - taken;
  }

  /** The kernel has room again. */
  drained(): void {
    while (this.#rest.length > 0) {
      const [first] = this.#rest;
      if (first === undefined) return;
      const taken = Math.max(0, this.#socket.write(first));
      this.#held -= taken;
      if (taken < first.length) {
        this.#rest[0] = first.subarray(taken);
        return;
      }
      this.#rest.shift();
    }
  }
}
