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
type StartReply = Extract<WorkerReply, { type: "started" | "failed" }>;

interface Waiter {
  readonly resolve: (reply: WorkerReply) => void;
  readonly reject: (error: Error) => void;
}

/** Requests of one kind that may wait for their answer. */
const MAX_WAITERS = 64;

/**
 * The supervisor's end of a worker's control socket. It stays open as long as both live: the moment
 * it closes is how the end of a worker is noticed without polling.
 */
export class ControlConnection {
  /** Resolves when either side ended the connection. */
  readonly closed: Promise<void>;
  readonly #waiters: Record<Answered, Waiter[]> = { start: [], status: [], stop: [] };
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
    const reply = await this.#ask("start", { type: "start", spec });
    if (reply.type === "started" || reply.type === "failed") return reply;
    throw new Error(`the worker answered start with ${JSON.stringify(reply)}`);
  }

  async status(): Promise<WorkerStatus> {
    const reply = await this.#ask("status", { type: "status" });
    if (reply.type === "status") return reply;
    throw new Error(`the worker answered status with ${JSON.stringify(reply)}`);
  }

  async stop(gracePeriodMs: number): Promise<void> {
    await this.#ask("stop", { type: "stop", gracePeriodMs });
  }

  close(): void {
    this.#socket?.end();
    this.#finish();
  }

  #ask(kind: Answered, request: WorkerRequest): Promise<WorkerReply> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters[kind];
      if (this.#isClosed) return reject(new Error("the worker's control connection is closed"));
      if (waiters.length >= MAX_WAITERS) {
        return reject(new Error(`${MAX_WAITERS} requests of type ${kind} wait for the worker`));
      }
      waiters.push({ resolve, reject });
      this.#unsent = Buffer.concat([this.#unsent, Buffer.from(encodeWorkerMessage(request))]);
      this.#flush();
    });
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
        return this.#waiters.start.shift()?.resolve(reply);
      case "status":
        return this.#waiters.status.shift()?.resolve(reply);
      case "stopping":
        return this.#waiters.stop.shift()?.resolve(reply);
      case "error": {
        const { start, stop, status } = this.#waiters;
        return (start.shift() ?? stop.shift() ?? status.shift())?.reject(new Error(reply.message));
      }
    }
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const waiters of Object.values(this.#waiters)) {
      for (const waiter of waiters.splice(0)) {
        waiter.reject(new Error("the worker ended before it answered"));
      }
    }
    this.#onClosed();
  }
}
