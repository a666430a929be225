import type { Socket } from "bun";
import {
  encodeWorkerMessage,
  MAX_CONTROL_LINE_BYTES,
  parseWorkerReply,
  type WorkerReply,
  type WorkerRequest,
  type WorkerSpec,
  type WorkerStatus,
} from "./worker-protocol.ts";

type Answered = "start" | "status" | "stop";
const ANSWERED: readonly Answered[] = ["start", "stop", "status"];
type StartReply = Extract<WorkerReply, { type: "started" | "failed" }>;

interface Waiter {
  readonly resolve: (reply: WorkerReply) => void;
  readonly reject: (error: Error) => void;
}

/** Requests of one kind for one container that may wait for their answer. */
const MAX_WAITERS = 64;

/**
 * The supervisor's end of a worker's control socket, shared by the containers of the process. It
 * stays open as long as both live: the moment it closes is how the end of a worker is noticed
 * without polling.
 */
export class ControlConnection {
  /** Resolves when either side ended the connection. */
  readonly closed: Promise<void>;
  /** By kind and container. */
  readonly #waiters = new Map<string, Waiter[]>();
  /** By container: who wants to know of its end. */
  readonly #ends = new Map<string, () => void>();
  #socket: Socket | undefined;
  #unsent: Uint8Array = new Uint8Array();
  #rest = "";
  #isClosed = false;
  #onClosed: () => void = () => undefined;

  private constructor() {
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  /** Rejects when nobody listens on the path. */
  static async connect(unixPath: string): Promise<ControlConnection> {
    const connection = new ControlConnection();
    const decoder = new TextDecoder();
    const socket = await Bun.connect({
      unix: unixPath,
      socket: {
        data: (_socket, data) => connection.#receive(decoder.decode(data, { stream: true })),
        drain: () => connection.#flush(),
        close: () => connection.#finish(),
        error: () => connection.#finish(),
      },
    });
    // An open control connection is no reason to keep a server running that wants to end.
    socket.unref();
    connection.#socket = socket;
    return connection;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async start(spec: WorkerSpec): Promise<StartReply> {
    const reply = await this.#ask("start", spec.containerId, { type: "start", spec });
    if (reply.type === "started" || reply.type === "failed") return reply;
    throw new Error(`the worker answered start with ${JSON.stringify(reply)}`);
  }

  async status(containerId: string): Promise<WorkerStatus> {
    const reply = await this.#ask("status", containerId, { type: "status", containerId });
    if (reply.type === "status") return reply;
    throw new Error(`the worker answered status with ${JSON.stringify(reply)}`);
  }

  /** What is left of a grace period has a fraction; the protocol has whole milliseconds. */
  async stop(containerId: string, gracePeriodMs: number): Promise<void> {
    const wholeMs = Math.ceil(gracePeriodMs);
    await this.#ask("stop", containerId, { type: "stop", containerId, gracePeriodMs: wholeMs });
  }

  /**
   * Resolves when the guest ended in a process that lives on, or when the connection closed. Ask
   * before the start: the end may come right behind it. One asker a container.
   */
  ended(containerId: string): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#ends.set(containerId, resolve));
  }

  close(): void {
    this.#socket?.end();
    this.#finish();
  }

  #ask(kind: Answered, containerId: string, request: WorkerRequest): Promise<WorkerReply> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new Error("the worker's control connection is closed"));
      const key = `${kind} ${containerId}`;
      const waiters = this.#waiters.get(key) ?? [];
      if (waiters.length >= MAX_WAITERS) {
        return reject(new Error(`${MAX_WAITERS} requests of type ${kind} wait for the worker`));
      }
      waiters.push({ resolve, reject });
      this.#waiters.set(key, waiters);
      this.#unsent = Buffer.concat([this.#unsent, Buffer.from(encodeWorkerMessage(request))]);
      this.#flush();
    });
  }

  /** Who waited longest for an answer of the kind. */
  #waiter(kind: Answered, containerId: string): Waiter | undefined {
    const key = `${kind} ${containerId}`;
    const waiters = this.#waiters.get(key);
    const first = waiters?.shift();
    if (waiters?.length === 0) this.#waiters.delete(key);
    return first;
  }

  #flush(): void {
    if (this.#unsent.length === 0 || this.#socket === undefined) return;
    const written = this.#socket.write(this.#unsent);
    this.#unsent = this.#unsent.subarray(Math.max(0, written));
  }

  #receive(text: string): void {
    this.#rest += text;
    if (this.#rest.length > MAX_CONTROL_LINE_BYTES) return this.close();
    for (let end = this.#rest.indexOf("\n"); end >= 0; end = this.#rest.indexOf("\n")) {
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 1);
      this.#answer(line);
    }
  }

  #answer(line: string): void {
    let reply: WorkerReply;
    try {
      reply = parseWorkerReply(line);
    } catch {
      // A worker that does not follow the protocol is as good as gone; its process is looked at.
      return this.close();
    }
    switch (reply.type) {
      case "started":
      case "failed":
        return this.#waiter("start", reply.containerId)?.resolve(reply);
      case "status":
        return this.#waiter("status", reply.containerId)?.resolve(reply);
      case "stopping":
        return this.#waiter("stop", reply.containerId)?.resolve(reply);
      case "ended":
        return this.#tellEnd(reply.containerId);
      case "error":
        return this.#refused(reply.containerId, new Error(reply.message));
    }
  }

  #tellEnd(containerId: string): void {
    this.#ends.get(containerId)?.();
    this.#ends.delete(containerId);
  }

  /** A worker that cannot tell whose line it did not understand is not to be worked with. */
  #refused(containerId: string | undefined, error: Error): void {
    if (containerId === undefined) return this.close();
    // Whose start was refused is not there, and nothing else will say so.
    this.#tellEnd(containerId);
    for (const kind of ANSWERED) {
      const waiter = this.#waiter(kind, containerId);
      if (waiter !== undefined) return waiter.reject(error);
    }
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const waiter of [...this.#waiters.values()].flat()) {
      waiter.reject(new Error("the worker ended before it answered"));
    }
    this.#waiters.clear();
    for (const resolve of this.#ends.values()) resolve();
    this.#ends.clear();
    this.#onClosed();
  }
}
