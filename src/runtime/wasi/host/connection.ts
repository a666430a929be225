import type { Socket } from "bun";
import { ERRNO, WasiError } from "./errno.ts";
import type { Waitable, Wakeup } from "./wakeup.ts";

/** Connections a guest may have open at once; one more is reset. */
export const MAX_CONNECTIONS = 4096;
/** Bytes a connection holds before it stops reading from its socket. */
export const RECEIVE_HIGH_WATER = 64 * 1024;
/** Bytes all connections together hold before all of them stop reading. */
export const RECEIVE_BUDGET = 32 * 1024 * 1024;

/** A socket as a connection needs it; Bun's fits. */
export type ConnectionSocket = Pick<
  Socket<unknown>,
  "write" | "pause" | "resume" | "shutdown" | "terminate" | "end" | "flush"
>;

/** What the connections of one guest share: their number, and the memory they may hold. */
export class ConnectionBudget {
  readonly open = new Set<Connection>();
  bufferedBytes = 0;
  /** Counts reads and writes of all connections: unchanged means that none of them moved. */
  activity = 0;
  readonly #limits: { readonly connections: number; readonly receiveBytes: number };
  #squeezed = false;

  constructor(limits = { connections: MAX_CONNECTIONS, receiveBytes: RECEIVE_BUDGET }) {
    this.#limits = limits;
  }

  /** One more connection would be too many. */
  get full(): boolean {
    return this.open.size >= this.#limits.connections;
  }

  /** Takes the budget's word after a change of `bufferedBytes`. */
  check(): void {
    const { receiveBytes } = this.#limits;
    const over = this.bufferedBytes > receiveBytes;
    if (over === this.#squeezed) return;
    if (!over && this.bufferedBytes > receiveBytes / 2) return;
    this.#squeezed = over;
    for (const connection of this.open) connection.throttle();
  }

  get squeezed(): boolean {
    return this.#squeezed;
  }

  /** Whether a peer sent something that the guest has not answered yet, or not all of it. */
  get owesAnswer(): boolean {
    for (const connection of this.open) if (connection.owesAnswer) return true;
    return false;
  }
}

/**
 * A connected socket: what arrived and was not yet received by the guest, and the state of both
 * directions. The socket is paused above the high water mark, so that the peer feels it.
 */
export class Connection implements Waitable {
  readonly kind = "connection";
  watched: Waitable["watched"] = "no";
  readonly #socket: ConnectionSocket;
  readonly #wakeup: Wakeup;
  readonly #budget: ConnectionBudget;
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  #paused = false;
  #ended = false;
  #closed = false;
  #reset = false;
  #readShut = false;
  #writeShut = false;
  #blocked = false;
  #asked = false;

  constructor(socket: ConnectionSocket, wakeup: Wakeup, budget: ConnectionBudget) {
    this.#socket = socket;
    this.#wakeup = wakeup;
    this.#budget = budget;
    budget.open.add(this);
    if (budget.squeezed) this.throttle();
  }

  // What the socket says.

  received(chunk: Uint8Array): void {
    if (this.#readShut) return;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    this.#budget.bufferedBytes += chunk.length;
    this.#budget.activity++;
    this.#asked = true;
    this.throttle();
    this.#budget.check();
    this.#wakeup.notify(this, "read");
  }

  drained(): void {
    this.#blocked = false;
    this.#wakeup.notify(this, "write");
  }

  /** The peer sent its last byte. */
  ended(): void {
    this.#ended = true;
    this.#wakeup.notify(this, "read");
  }

  /** The socket is gone; `failed` when it was reset rather than closed. */
  closed(options: { readonly failed: boolean }): void {
    if (options.failed && !this.#ended) this.#reset = true;
    this.#ended = true;
    this.#closed = true;
    this.#blocked = false;
    this.#budget.open.delete(this);
    this.#wakeup.notify(this, "read");
    this.#wakeup.notify(this, "write");
  }

  // What the guest asks.

  get readable(): boolean {
    return this.#buffered > 0 || this.#ended || this.#readShut;
  }

  get writable(): boolean {
    return !this.#blocked;
  }

  get hangup(): boolean {
    return this.#ended && this.#buffered === 0;
  }

  /** The next read throws, because the connection was reset. */
  get failed(): boolean {
    return this.#reset && this.#buffered === 0;
  }

  /** Bytes came in after the guest's last write, or its last write has not left yet. */
  get owesAnswer(): boolean {
    return this.#asked || this.#blocked;
  }

  get buffered(): number {
    return this.#buffered;
  }

  /** Fills the buffers in order; 0 means the end. Throws EAGAIN when nothing is there yet. */
  read(buffers: readonly Uint8Array[], options: { readonly peek: boolean }): number {
    if (!this.readable) throw new WasiError(ERRNO.again);
    if (this.#buffered === 0) {
      if (!this.#reset) return 0;
      this.#reset = false;
      throw new WasiError(ERRNO.connreset);
    }
    let chunkIndex = 0;
    let offset = 0;
    let total = 0;
    for (const buffer of buffers) {
      let filled = 0;
      while (filled < buffer.length) {
        const chunk = this.#chunks[chunkIndex];
        if (chunk === undefined) break;
        const part = chunk.subarray(offset, offset + buffer.length - filled);
        buffer.set(part, filled);
        filled += part.length;
        offset += part.length;
        if (offset === chunk.length) {
          chunkIndex++;
          offset = 0;
        }
      }
      total += filled;
    }
    if (!options.peek) this.#consume(chunkIndex, offset, total);
    return total;
  }

  /** Hands bytes to the kernel; answers how many it took, 0 when it takes none right now. */
  write(bytes: Uint8Array): number {
    if (this.#writeShut || this.#closed) throw new WasiError(ERRNO.pipe);
    if (this.#blocked) return 0;
    const written = this.#socket.write(bytes);
    if (written < 0) throw new WasiError(ERRNO.pipe);
    this.#budget.activity++;
    this.#asked = false;
    if (written < bytes.length) this.#blocked = true;
    return written;
  }

  shutdown(sides: { readonly read: boolean; readonly write: boolean }): void {
    if (this.#closed) throw new WasiError(ERRNO.notconn);
    if (sides.read) {
      this.#readShut = true;
      this.#drop();
    }
    if (sides.write && !this.#writeShut) {
      this.#writeShut = true;
      this.#socket.shutdown();
    }
  }

  /** The guest closed its descriptor. Like the kernel: unread bytes turn the close into a reset. */
  close(): void {
    if (this.#closed) return;
    const unread = this.#buffered > 0;
    this.#drop();
    this.#readShut = true;
    if (unread) this.#socket.terminate();
    else this.#socket.end();
  }

  /** Reads or stops reading, as this connection's and the shared budget want. */
  throttle(): void {
    const full = this.#buffered >= RECEIVE_HIGH_WATER || this.#budget.squeezed;
    if (full === this.#paused || this.#closed) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  #consume(wholeChunks: number, offset: number, total: number): void {
    if (wholeChunks > 0) this.#chunks.splice(0, wholeChunks);
    const first = this.#chunks[0];
    if (offset > 0 && first !== undefined) this.#chunks[0] = first.subarray(offset);
    this.#buffered -= total;
    this.#budget.bufferedBytes -= total;
    if (this.#paused) this.throttle();
    this.#budget.check();
  }

  #drop(): void {
    this.#budget.bufferedBytes -= this.#buffered;
    this.#buffered = 0;
    this.#chunks = [];
    this.#budget.check();
  }
}
