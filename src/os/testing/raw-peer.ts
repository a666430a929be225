import type { Socket } from "bun";
import { eventually } from "../../lib/testing/eventually.ts";
import { PEER_SERVER_NAME } from "../peer/node-link.ts";

const MAX_TEXT_BYTES = 4096;

/** A client that says what it likes. */
export class RawPeer {
  text = "";
  receivedBytes = 0;
  closed = false;
  secured = false;
  #socket: Socket | undefined;

  constructor(port: number, tls?: { cert?: string; key?: string; ca: string }) {
    const connecting = Bun.connect({
      hostname: "127.0.0.1",
      port,
      ...(tls && { tls: { ...tls, serverName: PEER_SERVER_NAME, rejectUnauthorized: false } }),
      socket: {
        open: (socket) => {
          this.#socket = socket;
        },
        handshake: () => {
          this.secured = true;
        },
        data: (_socket, chunk) => {
          this.receivedBytes += chunk.length;
          if (this.receivedBytes <= MAX_TEXT_BYTES) this.text += chunk.toString();
        },
        error: (socket) => socket.terminate(),
        close: () => {
          this.closed = true;
        },
      },
    });
    connecting.catch(() => undefined);
  }

  async opened(): Promise<void> {
    await eventually(() => this.#socket !== undefined);
  }

  async say(bytes: string | Uint8Array): Promise<void> {
    await eventually(() => this.secured || this.closed);
    this.#socket?.write(bytes);
  }

  /** Reads nothing more. */
  stall(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  close(): void {
    this.#socket?.terminate();
  }
}
