import type { Socket } from "bun";
import {
  decodeAnswer,
  encodeCall,
  FrameReader,
  type KeyvalueAnswer,
  type KeyvalueCall,
  MAX_ANSWER_FRAME_BYTES,
  MAX_CALLS_UNDER_WAY,
} from "../../component/keyvalue-protocol.ts";
import type { HostClock } from "../../host/host-clock.ts";
import { SocketWriter } from "../io/socket-writer.ts";

/** How long a call may take, the wait for its turn included. */
export const CALL_TIMEOUT_MS = 30_000;
/** How long a node may be without a gate, because its server starts again, before calls fail. */
export const RECONNECT_WITHIN_MS = 5_000;
const RECONNECT_EVERY_MS = 100;
/** Bytes of values under way; what comes then waits for its turn. */
const MAX_BYTES_UNDER_WAY = 8 * 1024 * 1024;
/** Calls of a container that wait for their turn; one more fails. */
export const MAX_WAITING_CALLS = 1_024;

interface Pending {
  readonly call: KeyvalueCall;
  readonly settle: (answer: KeyvalueAnswer) => void;
  readonly deadlineNs: bigint;
  /** It was given to a connection, so that it may have been done. */
  sent: boolean;
}

interface SocketData {
  reader: FrameReader;
  writer: SocketWriter | undefined;
}

/**
 * The calls of one container to the gate of its pod: one connection, on which many are under way
 * at once. Never rejects: what goes wrong is an answer too. What was not sent when a connection
 * broke goes over the next one, and so does what only reads; a write that may have been done is
 * never sent again.
 */
export class KeyvalueClient {
  readonly #path: string;
  readonly #clock: HostClock;
  /** By id; those that were sent are the oldest. */
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: Pending[] = [];
  #lastId = 0;
  /** Of values that are under way. */
  #bytes = 0;
  #socket: Socket<SocketData> | undefined;
  #connecting = false;
  #cancelSweep: (() => void) | undefined;
  #closed = false;

  constructor(path: string, clock: HostClock) {
    this.#path = path;
    this.#clock = clock;
  }

  call(call: KeyvalueCall): Promise<KeyvalueAnswer> {
    if (this.#closed) return Promise.resolve(failed("the container ends"));
    if (this.#waiting.length >= MAX_WAITING_CALLS) {
      return Promise.resolve(failed(`${MAX_WAITING_CALLS} calls wait already`));
    }
    return new Promise((settle) => {
      const deadlineNs = this.#clock.monotonicNs() + BigInt(CALL_TIMEOUT_MS) * 1_000_000n;
      this.#waiting.push({ call, settle, deadlineNs, sent: false });
      this.#sweepLater();
      this.#send();
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancelSweep?.();
    this.#socket?.terminate();
    this.#fail(() => true, "the container ends");
  }

  /** Sends what has its turn. */
  #send(): void {
    const socket = this.#socket;
    if (socket === undefined) {
      if (!this.#connecting && this.#waiting.length > 0) void this.#connect();
      return;
    }
    const { writer } = socket.data;
    if (writer === undefined) return;
    while (this.#pending.size < MAX_CALLS_UNDER_WAY && this.#bytes < MAX_BYTES_UNDER_WAY) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const id = ++this.#lastId;
      next.sent = true;
      this.#pending.set(id, next);
      this.#bytes += bytesOf(next);
      writer.write(encodeCall(id, next.call));
    }
  }

  async #connect(): Promise<void> {
    this.#connecting = true;
    const giveUpNs = this.#clock.monotonicNs() + BigInt(RECONNECT_WITHIN_MS) * 1_000_000n;
    let why: unknown;
    while (!this.#closed && this.#waiting.length > 0) {
      try {
        const socket = await this.#open();
        this.#connecting = false;
        if (this.#closed) socket.terminate();
        else this.#socket = socket;
        this.#send();
        return;
      } catch (error) {
        why = error;
      }
      if (this.#clock.monotonicNs() >= giveUpNs) {
        const message = why instanceof Error ? why.message : String(why);
        this.#fail(({ sent }) => !sent, `the node does not answer: ${message}`);
        break;
      }
      await new Promise<void>((resolve) => this.#clock.after(RECONNECT_EVERY_MS, resolve));
    }
    this.#connecting = false;
  }

  async #open(): Promise<Socket<SocketData>> {
    const data: SocketData = { reader: new FrameReader(MAX_ANSWER_FRAME_BYTES), writer: undefined };
    const lost = (socket: Socket<SocketData>): void => this.#lost(socket);
    const socket = await Bun.connect<SocketData>({
      unix: this.#path,
      data,
      socket: {
        data: (from, chunk) => this.#received(from, chunk),
        drain: (from) => from.data.writer?.drained(),
        end: lost,
        close: lost,
        error: lost,
      },
    });
    socket.data.writer = new SocketWriter(socket);
    return socket;
  }

  #received(socket: Socket<SocketData>, chunk: Uint8Array): void {
    try {
      for (const frame of socket.data.reader.push(chunk)) {
        const { id, answer } = decodeAnswer(frame);
        this.#over(id)?.settle(answer);
      }
    } catch {
      // What comes next cannot be told apart any more.
      socket.terminate();
      this.#lost(socket);
    }
    this.#send();
  }

  /** A call is under way no more. */
  #over(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    this.#bytes -= bytesOf(pending);
    return pending;
  }

  #lost(socket: Socket<SocketData>): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    const under = [...this.#pending.values()];
    this.#pending.clear();
    this.#bytes = 0;
    for (const pending of under) {
      if (!writes(pending.call)) this.#waiting.unshift({ ...pending, sent: false });
      else pending.settle(failed("the node was lost; whether it was done is unknown"));
    }
    this.#send();
  }

  /** One timer for all calls, however many there are. */
  #sweepLater(): void {
    this.#cancelSweep ??= this.#clock.after(CALL_TIMEOUT_MS / 4, () => {
      this.#cancelSweep = undefined;
      const nowNs = this.#clock.monotonicNs();
      this.#fail(({ deadlineNs }) => deadlineNs <= nowNs, `no answer within ${CALL_TIMEOUT_MS} ms`);
      if (this.#pending.size + this.#waiting.length > 0) this.#sweepLater();
    });
  }

  #fail(which: (pending: Pending) => boolean, message: string): void {
    for (const [id, pending] of this.#pending) {
      if (which(pending)) this.#over(id)?.settle(failed(message));
    }
    const kept = this.#waiting.splice(0).filter((pending) => {
      if (!which(pending)) return true;
      pending.settle(failed(message));
      return false;
    });
    this.#waiting.push(...kept);
  }
}

function bytesOf({ call }: Pending): number {
  return call.op === "set" ? call.value.length : 0;
}

function writes({ op }: KeyvalueCall): boolean {
  return op === "set" || op === "delete" || op === "increment";
}

function failed(message: string): KeyvalueAnswer {
  return { type: "refused", why: "other", message };
}
