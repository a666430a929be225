import type { Socket, SocketHandler, TCPSocketListener, UnixSocketListener } from "bun";
import { rmSync } from "node:fs";
import { MAX_CONNECTIONS } from "../../host/connection.ts";
import { MAX_BACKLOG } from "../../host/listener.ts";
import type { WorkerPort } from "../../worker-protocol.ts";
import { ReadySignal } from "../io/ready-signal.ts";
import { ByteSocket, socketHandlers, type SocketData } from "./byte-socket.ts";

/** What all connections that came in to one container tell about themselves. */
export class ConnectionMeter {
  readonly open = new Set<ByteSocket>();
  /** Changes whenever bytes move. */
  activity = 0;

  /** A peer sent something after the guest's last write, or has not got all of it. */
  get owesAnswer(): boolean {
    for (const connection of this.open) if (connection.owesAnswer) return true;
    return false;
  }
}

/**
 * The ports that a container's spec names: what its component may bind and listen on. They are
 * open from the container's start, so that nobody is turned away while the component gets there.
 */
export class PortListeners {
  readonly meter = new ConnectionMeter();
  readonly #ports: ReadonlyMap<number, PortListener>;

  constructor(ports: readonly WorkerPort[]) {
    this.#ports = new Map(ports.map((port) => [port.port, new PortListener(port, this.meter)]));
  }

  get all(): readonly PortListener[] {
    return [...this.#ports.values()];
  }

  /** Undefined for a port that the spec does not name. */
  at(port: number): PortListener | undefined {
    return this.#ports.get(port);
  }

  close(): void {
    for (const listener of this.#ports.values()) listener.close();
  }
}

/** One port: connections that wait to be accepted. */
export class PortListener {
  readonly port: WorkerPort;
  readonly readable = new ReadySignal();
  /** A socket of the guest is bound to it. */
  claimed = false;
  readonly #meter: ConnectionMeter;
  readonly #queue: ByteSocket[] = [];
  readonly #hosts: (UnixSocketListener<SocketData> | TCPSocketListener<SocketData>)[] = [];

  constructor(port: WorkerPort, meter: ConnectionMeter) {
    this.port = port;
    this.#meter = meter;
  }

  get pending(): number {
    return this.#queue.length;
  }

  /** Throws what the system says. */
  listenUnix(): void {
    const { unixPath } = this.port;
    rmSync(unixPath, { force: true });
    this.#hosts.push(Bun.listen<SocketData>({ unix: unixPath, ...this.#listenOptions() }));
  }

  /** Throws what the system says. */
  listenTcp(hostname: string): void {
    const { port } = this.port;
    this.#hosts.push(Bun.listen<SocketData>({ hostname, port, ...this.#listenOptions() }));
  }

  /** The connection that waited longest. */
  accept(): ByteSocket | undefined {
    const connection = this.#queue.shift();
    connection?.resume();
    return connection;
  }

  close(): void {
    for (const host of this.#hosts.splice(0)) host.stop();
    for (const connection of this.#queue.splice(0)) connection.close();
  }

  #listenOptions(): {
    readonly allowHalfOpen: true;
    readonly socket: SocketHandler<SocketData>;
    readonly data: SocketData;
  } {
    const open = (socket: Socket<SocketData>) => this.#connected(socket);
    return {
      allowHalfOpen: true,
      socket: { ...socketHandlers, open },
      data: { owner: undefined },
    };
  }

  #connected(socket: Socket<SocketData>): void {
    // Each socket gets its own data object: the one given to listen is shared by all.
    socket.data = { owner: undefined };
    if (this.#queue.length >= MAX_BACKLOG || this.#meter.open.size >= MAX_CONNECTIONS) {
      socket.terminate();
      return;
    }
    const connection = ByteSocket.accepted(socket, this.#meter);
    this.#queue.push(connection);
    this.readable.notify();
  }
}
