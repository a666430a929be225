import type { SocketHandler, UnixSocketListener, TCPSocketListener } from "bun";
import { ERRNO, WasiError } from "./errno.ts";
import { Connection, type ConnectionBudget, type ConnectionSocket } from "./connection.ts";
import type { Waitable, Wakeup } from "./wakeup.ts";

/** Connections that wait for the guest's accept; one more is reset. */
export const MAX_BACKLOG = 1024;

interface SocketData {
  connection: Connection | undefined;
}

/** A listening socket of the guest, fed by any number of host listeners. */
export class Listener implements Waitable {
  readonly kind = "listener";
  readonly port: number;
  watched: Waitable["watched"] = "no";
  readonly #wakeup: Wakeup;
  readonly #budget: ConnectionBudget;
  readonly #queue: Connection[] = [];
  readonly #hosts: (UnixSocketListener<SocketData> | TCPSocketListener<SocketData>)[] = [];

  constructor(port: number, wakeup: Wakeup, budget: ConnectionBudget) {
    this.port = port;
    this.#wakeup = wakeup;
    this.#budget = budget;
  }

  /** Starts to listen on a Unix socket. Throws what the system says. */
  listenUnix(path: string): void {
    const socket = socketHandler(this);
    this.#hosts.push(
      Bun.listen<SocketData>({ unix: path, allowHalfOpen: true, socket, data: noConnection() }),
    );
  }

  /** Starts to listen on a TCP address. Throws what the system says. */
  listenTcp(hostname: string): void {
    const socket = socketHandler(this);
    this.#hosts.push(
      Bun.listen<SocketData>({
        hostname,
        port: this.port,
        allowHalfOpen: true,
        socket,
        data: noConnection(),
      }),
    );
  }

  get pending(): number {
    return this.#queue.length;
  }

  /** Takes a new connection in, or resets it when a limit is reached. */
  connected(socket: ConnectionSocket): Connection | undefined {
    if (this.#queue.length >= MAX_BACKLOG || this.#budget.full) {
      socket.terminate();
      return undefined;
    }
    const connection = new Connection(socket, this.#wakeup, this.#budget);
    this.#queue.push(connection);
    this.#wakeup.notify(this, "read");
    return connection;
  }

  /** The connection that waited longest. Throws EAGAIN when there is none. */
  accept(): Connection {
    const connection = this.#queue.shift();
    if (connection === undefined) throw new WasiError(ERRNO.again);
    return connection;
  }

  close(): void {
    for (const host of this.#hosts) host.stop();
    for (const connection of this.#queue.splice(0)) connection.close();
  }
}

function noConnection(): SocketData {
  return { connection: undefined };
}

function socketHandler(listener: Listener): SocketHandler<SocketData> {
  return {
    open(socket) {
      // Each socket gets its own data object: the one given to listen is shared by all.
      socket.data = { connection: undefined };
      socket.data.connection = listener.connected(socket);
    },
    data: (socket, chunk) => socket.data.connection?.received(chunk),
    drain: (socket) => socket.data.connection?.drained(),
    end: (socket) => socket.data.connection?.ended(),
    error: (socket) => socket.data.connection?.closed({ failed: true }),
    close: (socket, error) => socket.data.connection?.closed({ failed: error !== undefined }),
  };
}
