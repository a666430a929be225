import { connect, type Socket } from "node:net";
import { eventually } from "../../../../../lib/testing/eventually.ts";

/** A client that writes bytes and keeps what it reads. */
export class RawClient {
  text = "";
  ended = false;
  closed = false;
  readonly socket: Socket;

  constructor(at: string | { readonly port: number; readonly host: string }) {
    const socket = connect({
      ...(typeof at === "string" ? { path: at } : at),
      allowHalfOpen: true,
    });
    socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("error", () => undefined);
    this.socket = socket;
  }

  write(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Waits until this was read; answers all that was, and forgets it. */
  async sees(part: string): Promise<string> {
    await eventually(() => this.text.includes(part));
    const { text } = this;
    this.text = "";
    return text;
  }

  /** Waits for the end of the connection; answers what was read before. */
  async rest(): Promise<string> {
    await eventually(() => this.ended || this.closed);
    return this.text;
  }

  destroy(): void {
    this.socket.destroy();
  }
}
