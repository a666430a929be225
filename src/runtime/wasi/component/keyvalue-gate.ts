import { rmSync } from "node:fs";
import type { Socket } from "bun";
import type { Logger } from "../../../lib/index.ts";
import {
  decodeCall,
  encodeAnswer,
  FrameReader,
  type KeyvalueAnswer,
  type KeyvalueCall,
  MAX_CALL_FRAME_BYTES,
  MAX_CALLS_UNDER_WAY,
} from "./keyvalue-protocol.ts";

/** The way from a pod's components to the stores of its namespace, kept by the node. */
export interface KeyvalueGate {
  /** Listens at `path` until closed. Throws when the socket cannot be made. */
  open(options: KeyvalueGateOptions): { close(): void };
}

export interface KeyvalueGateOptions {
  /** A Unix socket; what was there before is replaced. */
  readonly path: string;
  readonly pod: { readonly namespace: string; readonly name: string };
  /** What the pod may open; every other store is refused as denied. */
  readonly stores: readonly string[];
}

export interface KeyvalueListenOptions extends KeyvalueGateOptions {
  /** Does a call to a store that the pod may open. A rejection is answered as `other`. */
  ask(call: KeyvalueCall): Promise<KeyvalueAnswer>;
  readonly logger: Logger;
}

/** Connections of one pod; each container has one. One more is closed at once. */
export const MAX_GATE_CONNECTIONS = 16;
/** Calls of a connection that are asked at once; others wait for their turn. */
export const MAX_ASKED_AT_ONCE = 32;
/** Bytes of calls that a connection may have waiting and under way; more are refused. */
export const MAX_CALL_BYTES_HELD = 16 * 1024 * 1024;
/** While a worker has so many bytes of answers to read, nothing more is asked for it. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
/** A worker that goes on asking and reads nothing loses its connection. */
export const MAX_UNSENT_BYTES = 64 * 1024 * 1024;

interface Waiting {
  readonly id: number;
  readonly call: KeyvalueCall;
}

interface GateConnection {
  readonly reader: FrameReader;
  readonly waiting: Waiting[];
  /** Of calls that wait or are under way. */
  heldBytes: number;
  underWay: number;
  /** Answers that the kernel did not take yet. */
  unsent: Uint8Array[];
  unsentBytes: number;
}

type GateSocket = Socket<GateConnection>;

/** Serves the calls of one pod's workers on a Unix socket. */
export function listenForCalls(options: KeyvalueListenOptions): { close(): void } {
  const { path } = options;
  const gate = new Gate(options);
  rmSync(path, { force: true });
  const listener = Bun.listen<GateConnection>({
    unix: path,
    socket: {
      open: (socket) => gate.opened(socket),
      data: (socket, chunk) => gate.received(socket, chunk),
      drain: (socket) => gate.drained(socket),
      close: (socket) => gate.closed(socket),
      error: (socket) => gate.closed(socket),
    },
  });
  return {
    close: () => {
      listener.stop(true);
      rmSync(path, { force: true });
    },
  };
}

class Gate {
  readonly #options: KeyvalueListenOptions;
  readonly #stores: ReadonlySet<string>;
  readonly #sockets = new Set<GateSocket>();

  constructor(options: KeyvalueListenOptions) {
    this.#options = options;
    this.#stores = new Set(options.stores);
  }

  opened(socket: GateSocket): void {
    if (this.#sockets.size >= MAX_GATE_CONNECTIONS) {
      socket.terminate();
      return;
    }
    const reader = new FrameReader(MAX_CALL_FRAME_BYTES);
    const nothing = { heldBytes: 0, underWay: 0, unsentBytes: 0 };
    socket.data = { reader, waiting: [], unsent: [], ...nothing };
    this.#sockets.add(socket);
  }

  closed(socket: GateSocket): void {
    this.#sockets.delete(socket);
  }

  received(socket: GateSocket, chunk: Uint8Array): void {
    if (!this.#sockets.has(socket)) return;
    try {
      for (const frame of socket.data.reader.push(chunk)) this.#take(socket, decodeCall(frame));
      if (socket.data.unsentBytes > MAX_UNSENT_BYTES) this.#end(socket);
      this.#ask(socket);
    } catch (error) {
      // A worker of ours never sends it: whoever does is not helped by an answer.
      const { name, namespace } = this.#options.pod;
      this.#options.logger.warn("keyvalue gate", { namespace, name, error: String(error) });
      this.#end(socket);
    }
  }

  drained(socket: GateSocket): void {
    flush(socket);
    this.#ask(socket);
  }

  /** Lets a call wait for its turn, or refuses it at once. */
  #take(socket: GateSocket, { id, call }: Waiting): void {
    const { data } = socket;
    if (!this.#stores.has(call.store)) {
      const why = `the pod's annotation does not name the store ${call.store}`;
      send(socket, encodeAnswer(id, refusal("denied", why)));
      return;
    }
    const many = data.waiting.length + data.underWay >= MAX_CALLS_UNDER_WAY;
    if (many || data.heldBytes + bytesOf(call) > MAX_CALL_BYTES_HELD) {
      const why = "too many calls are under way, or too large ones: more are not taken now";
      send(socket, encodeAnswer(id, refusal("other", why)));
      return;
    }
    data.heldBytes += bytesOf(call);
    data.waiting.push({ id, call });
  }

  /** Asks for calls whose turn it is, as long as the worker takes what is answered. */
  #ask(socket: GateSocket): void {
    const { data } = socket;
    if (!this.#sockets.has(socket)) return;
    while (data.underWay < MAX_ASKED_AT_ONCE && data.unsentBytes < MAX_UNREAD_BYTES) {
      const next = data.waiting.shift();
      if (next === undefined) return;
      data.underWay++;
      void this.#answer(next.call).then((answer) => {
        data.underWay--;
        data.heldBytes -= bytesOf(next.call);
        if (!this.#sockets.has(socket)) return;
        send(socket, encodeAnswer(next.id, answer));
        this.#ask(socket);
      });
    }
  }

  async #answer(call: KeyvalueCall): Promise<KeyvalueAnswer> {
    try {
      return await this.#options.ask(call);
    } catch (error) {
      return refusal("other", error instanceof Error ? error.message : String(error));
    }
  }

  #end(socket: GateSocket): void {
    this.#sockets.delete(socket);
    socket.terminate();
  }
}

function bytesOf(call: KeyvalueCall): number {
  return call.op === "set" ? call.value.length : 0;
}

function refusal(why: "denied" | "other", message: string): KeyvalueAnswer {
  return { type: "refused", why, message };
}

function send(socket: GateSocket, bytes: Uint8Array): void {
  const { data } = socket;
  data.unsent.push(bytes);
  data.unsentBytes += bytes.length;
  if (data.unsent.length === 1) flush(socket);
}

/** Hands the kernel what it takes; the rest goes when it has room again. */
function flush(socket: GateSocket): void {
  const { data } = socket;
  while (data.unsent.length > 0) {
    const [first] = data.unsent;
    if (first === undefined) return;
    const taken = Math.max(0, socket.write(first));
    data.unsentBytes -= taken;
    if (taken < first.length) {
      data.unsent[0] = first.subarray(taken);
      return;
    }
    data.unsent.shift();
  }
}
