import type { Socket } from "bun";
import { SocketWriter } from "../io/socket-writer.ts";
import { HttpError } from "./http-error.ts";

/** Who uses a connection at the moment. */
export interface ConnectionUser {
  received(chunk: Uint8Array): void;
  drained(): void;
  closed(): void;
}

interface SocketData {
  connection: EgressConnection | undefined;
}

/** One connection to the egress; it serves one exchange after the other. */
export class EgressConnection {
  readonly #socket: Socket<SocketData>;
  readonly #writer: SocketWriter;
  #user: ConnectionUser | undefined;
  #uses = 0;
  #paused = false;
  #open = true;

  constructor(socket: Socket<SocketData>) {
    this.#socket = socket;
    this.#writer = new SocketWriter(socket);
  }

  /** Rejects with HttpError when nobody listens. */
  static async open(path: string): Promise<EgressConnection> {
    try {
      const data: SocketData = { connection: undefined };
      const socket = await Bun.connect<SocketData>({ unix: path, data, socket: handlers });
      const connection = new EgressConnection(socket);
      socket.data.connection = connection;
      return connection;
    } catch (error) {
      throw new HttpError({ tag: "destination-unavailable" }, { cause: error });
    }
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether it served an exchange before the present one. */
  get reused(): boolean {
    return this.#uses > 1;
  }

  get heldBytes(): number {
    return this.#writer.heldBytes;
  }

  lend(user: ConnectionUser): void {
    this.#user = user;
    this.#uses++;
  }

  /** The exchange is over and left the connection clean. */
  giveBack(): void {
    this.#user = undefined;
    this.setPaused({ paused: false });
  }

  write(bytes: Uint8Array): void {
    this.#writer.write(bytes);
  }

  setPaused({ paused }: { readonly paused: boolean }): void {
    if (paused === this.#paused || !this.#open) return;
    this.#paused = paused;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#user = undefined;
    this.#socket.terminate();
  }

  // What the socket says.

  received(chunk: Uint8Array): void {
    if (this.#user === undefined) this.close();
    else this.#user.received(chunk);
  }

  drained(): void {
    this.#writer.drained();
    this.#user?.drained();
  }

  ended(): void {
    if (!this.#open) return;
    const user = this.#user;
    this.close();
    user?.closed();
  }
}

const handlers = {
  data: (socket: Socket<SocketData>, chunk: Uint8Array) => socket.data.connection?.received(chunk),
  drain: (socket: Socket<SocketData>) => socket.data.connection?.drained(),
  end: (socket: Socket<SocketData>) => socket.data.connection?.ended(),
  close: (socket: Socket<SocketData>) => socket.data.connection?.ended(),
  error: (socket: Socket<SocketData>) => socket.data.connection?.ended(),
};
