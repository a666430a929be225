import { rmSync } from "node:fs";
import type { Socket } from "bun";
import type { Logger } from "../../../lib/index.ts";
import {
  decodeCall,
  encodeAnswer,
  FrameReader,
  type KeyvalueAnswer,
  type KeyvalueCall,
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
export const MAX_GATE_CONNECTIONS = 64;
/** Bytes of answers that a worker did not take yet; above it the connection ends. */
export const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

interface GateConnection {
  readonly reader: FrameReader;
  /** Answers that the kernel did not take yet. */
  unsent: Uint8Array[];
  unsentBytes: number;
  underWay: number;
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
      drain: (socket) => flush(socket),
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
    socket.data = { reader: new FrameReader(), unsent: [], unsentBytes: 0, underWay: 0 };
    this.#sockets.add(socket);
  }

  closed(socket: GateSocket): void {
    this.#sockets.delete(socket);
  }

  received(socket: GateSocket, chunk: Uint8Array): void {
    if (!this.#sockets.has(socket)) return;
    try {
      for (const frame of socket.data.reader.push(chunk)) {
        const { id, call } = decodeCall(frame);
        void this.#serve(socket, id, call);
      }
    } catch (error) {
      // A worker of ours never sends it: whoever does is not helped by an answer.
      const { name, namespace } = this.#options.pod;
      this.#options.logger.warn("keyvalue gate", { namespace, name, error: String(error) });
      this.#end(socket);
    }
  }

  async #serve(socket: GateSocket, id: number, call: KeyvalueCall): Promise<void> {
    const { data } = socket;
    data.underWay++;
    const answer = await this.#answer(data, call);
    data.underWay--;
    if (!this.#sockets.has(socket)) return;
    send(socket, encodeAnswer(id, answer));
    if (data.unsentBytes > MAX_UNREAD_BYTES) this.#end(socket);
  }

  async #answer({ underWay }: GateConnection, call: KeyvalueCall): Promise<KeyvalueAnswer> {
    if (!this.#stores.has(call.store)) {
      return refusal("denied", `the pod's annotation does not name the store ${call.store}`);
    }
    if (underWay > MAX_CALLS_UNDER_WAY) {
      return refusal("other", `${MAX_CALLS_UNDER_WAY} calls are under way, more are not taken`);
    }
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
