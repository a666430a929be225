import type { Socket } from "bun";
import type { Clock } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";

/** Real time for tests over real sockets. */
export const wallClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** A client that writes bytes and keeps what comes back. */
export class RawClient {
  text = "";
  receivedBytes = 0;
  ended = false;
  closed = false;
  readonly socket: Socket<RawClient>;
  #pending: Uint8Array = new Uint8Array();
  #finish = false;

  private constructor(socket: Socket<RawClient>) {
    this.socket = socket;
  }

  static async connect(
    to: { port: number; hostname?: string } | { unix: string },
    options: { keepText: boolean } = { keepText: true },
  ): Promise<RawClient> {
    const place = "unix" in to ? to : { hostname: to.hostname ?? "127.0.0.1", port: to.port };
    const opened = Promise.withResolvers<RawClient>();
    const socket = {
      open(socket: Socket<RawClient>) {
        socket.data = new RawClient(socket);
        opened.resolve(socket.data);
      },
      data(socket: Socket<RawClient>, chunk: Buffer) {
        socket.data.receivedBytes += chunk.length;
        if (options.keepText) socket.data.text += chunk.toString("latin1");
      },
      drain: (socket: Socket<RawClient>) => socket.data?.flush(),
      end(socket: Socket<RawClient>) {
        socket.data.ended = true;
      },
      close(socket: Socket<RawClient>) {
        if (socket.data !== undefined) socket.data.closed = true;
      },
      connectError: (_: Socket<RawClient>, error: Error) => opened.reject(error),
    };
    const connecting = Bun.connect<RawClient>({ ...place, allowHalfOpen: true, socket } as never);
    connecting.catch(() => undefined);
    return opened.promise;
  }

  write(bytes: string | Uint8Array): void {
    const added = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    this.#pending = Buffer.concat([this.#pending, added]);
    this.flush();
  }

  /** Bytes the kernel did not take yet. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  finish(): void {
    this.#finish = true;
    this.flush();
  }

  flush(): void {
    if (this.#pending.length > 0) {
      const written = Math.max(0, this.socket.write(this.#pending));
      this.#pending = this.#pending.subarray(written);
    }
    if (this.#finish && this.#pending.length === 0) this.socket.shutdown();
  }

  /** Waits until what came back ends with, or contains, this text. */
  async sees(text: string): Promise<string> {
    await eventually(() => this.text.includes(text), {
      what: `${JSON.stringify(text)} in ${JSON.stringify(this.text)}`,
    });
    return this.text;
  }

  async isClosed(): Promise<void> {
    await eventually(() => this.closed || this.ended);
  }

  close(): void {
    this.socket.terminate();
  }
}

/** What a scripted server does with a connection. */
export interface ServerScript {
  onOpen?(connection: ServerConnection): void;
  onData?(connection: ServerConnection, all: string): void;
  onEnd?(connection: ServerConnection): void;
}

/** One connection of a {@link RawServer}; `text` is all that came and was not taken. */
export class ServerConnection {
  text = "";
  receivedBytes = 0;
  closed = false;
  readonly socket: Socket<ServerConnection>;

  constructor(socket: Socket<ServerConnection>) {
    this.socket = socket;
  }

  send(text: string): void {
    this.socket.write(Buffer.from(text, "latin1"));
  }
}

/** A server on a Unix socket whose every byte is the test's choice. */
export class RawServer {
  readonly connections: ServerConnection[] = [];
  script: ServerScript;
  readonly #listener: { stop(force?: boolean): void };

  constructor(unix: string, script: ServerScript) {
    this.script = script;
    this.#listener = Bun.listen<ServerConnection>({
      unix,
      allowHalfOpen: true,
      socket: {
        open: (socket) => {
          const connection = new ServerConnection(socket);
          socket.data = connection;
          this.connections.push(connection);
          this.script.onOpen?.(connection);
        },
        data: (socket, chunk) => {
          socket.data.receivedBytes += chunk.length;
          if (socket.data.text.length < 1_000_000) socket.data.text += chunk.toString("latin1");
          this.script.onData?.(socket.data, socket.data.text);
        },
        end: (socket) => {
          if (this.script.onEnd === undefined) socket.end();
          else this.script.onEnd(socket.data);
        },
        close: (socket) => {
          socket.data.closed = true;
        },
      },
    });
  }

  get open(): number {
    return this.connections.filter((connection) => !connection.closed).length;
  }

  close(): void {
    this.#listener.stop(true);
  }
}

/** Answers every request head it sees (bodies are the test's business) with this text. */
export function answering(response: string): ServerScript {
  return {
    onData(connection, all) {
      if (!all.includes("\r\n\r\n")) return;
      connection.text = "";
      connection.send(response);
    },
  };
}

/** A 200 answer with a length. */
export function ok(body: string, fields = ""): string {
  return `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}
