/** Bytes one outlet holds for a slow reader before it gives the connection up. */
export const MAX_HELD_BYTES = 4 * 1024 * 1024;

/** What of a socket is written to. */
export interface OutletSocket {
  /** How many bytes were taken; -1 from a socket that is closed. */
  write(bytes: Uint8Array): number;
  /** Ends the writing side. */
  shutdown(): void;
  /** Closes it. */
  end(): void;
  /** Resets it. */
  terminate(): void;
}

/**
 * The writing side of a socket. Whoever feeds it stops reading its source when {@link write} says
 * false, so that what is held stays at about one read; the limit is for a source that does not.
 */
export class Outlet {
  readonly #socket: OutletSocket;
  readonly #maxHeldBytes: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #finishing: "no" | "half" | "whole" = "no";

  constructor(socket: OutletSocket, options: { readonly maxHeldBytes?: number } = {}) {
    this.#socket = socket;
    this.#maxHeldBytes = options.maxHeldBytes ?? MAX_HELD_BYTES;
  }

  get empty(): boolean {
    return this.#heldBytes === 0;
  }

  /** Takes all bytes, which may be reused afterwards; false asks the source to pause. */
  write(bytes: Uint8Array): boolean {
    if (this.#heldBytes > 0) {
      this.#hold(bytes);
      return false;
    }
    const written = this.#socket.write(bytes);
    if (written === bytes.length) return true;
    // A closed socket answers -1: its close event tells the rest.
    if (written < 0) return true;
    this.#hold(bytes.subarray(written));
    return false;
  }

  /** After a drain event: true when nothing is held any more. */
  flush(): boolean {
    while (this.#held.length > 0) {
      const bytes = this.#held[0] ?? new Uint8Array();
      const written = this.#socket.write(bytes);
      if (written < bytes.length) {
        if (written > 0) {
          this.#held[0] = bytes.subarray(written);
          this.#heldBytes -= written;
        }
        return false;
      }
      this.#held.shift();
      this.#heldBytes -= bytes.length;
    }
    this.#finishWhenEmpty();
    return true;
  }

  /** Ends the writing side once everything is written; reading goes on. */
  finish(): void {
    if (this.#finishing !== "no") return;
    this.#finishing = "half";
    this.#finishWhenEmpty();
  }

  /** Closes the socket once everything is written. */
  finishAndClose(): void {
    this.#finishing = "whole";
    this.#finishWhenEmpty();
  }

  #finishWhenEmpty(): void {
    if (this.#heldBytes > 0) return;
    if (this.#finishing === "half") this.#socket.shutdown();
    else if (this.#finishing === "whole") this.#socket.end();
  }

  #hold(bytes: Uint8Array): void {
    // Not by `slice`, which for a Buffer gives a view of what the caller goes on to use.
    this.#held.push(new Uint8Array(bytes));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#maxHeldBytes) {
      this.#held = [];
      this.#heldBytes = 0;
      this.#socket.terminate();
    }
  }
}
