import { type CancelTimer, CHANNEL, type Clock } from "../../../lib/index.ts";
import { MAX_UNREAD_INPUT_BYTES, type NodeStream } from "./node-stream.ts";

/** How often a client that is not read is sent something: only so it is noticed that it left. */
export const PROBE_EVERY_MS = 5_000;

/** The connection of a client that runs or joins a program. */
export interface ChannelClient {
  /** Undefined: more may be sent. */
  send(channel: number, payload: Uint8Array): Promise<void> | undefined;
  /** Everything was said: closes the connection once it is on its way. */
  finish(): void;
  /** Closes it at once, since the client does what it may not. */
  refuse(reason: string): void;
  /** Stops and goes on reading, where the transport can. */
  pause(): void;
  resume(): void;
}

/** Joins a client's channels to those of a program on a node. */
export class ChannelRelay {
  readonly #node: NodeStream;
  readonly #client: ChannelClient;
  readonly #clock: Clock;
  #cancelProbe: CancelTimer | undefined;
  #paused = false;
  #over = false;

  constructor(node: NodeStream, client: ChannelClient, clock: Clock) {
    this.#clock = clock;
    this.#node = node;
    this.#client = client;
  }

  /** Passes on what the program says, to its end. Never rejects. */
  async run(): Promise<void> {
    try {
      for await (const { channel, payload } of this.#node.messages()) {
        if (this.#over) return;
        await this.#client.send(channel, payload);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      await this.#tell(`the connection to the node was lost: ${why}`);
    }
    this.#finish();
  }

  /** Passes on what the client says. */
  incoming(channel: number, payload: Uint8Array): void {
    if (this.#over) return;
    const room = this.#node.send(channel, payload);
    if (room === undefined || this.#paused) return this.#checkUnread();
    this.#paused = true;
    this.#client.pause();
    this.#probe();
    void room.then(() => {
      this.#paused = false;
      this.#cancelProbe?.();
      if (!this.#over) this.#client.resume();
    });
    this.#checkUnread();
  }

  /** The client is gone. */
  left(): void {
    this.#over = true;
    this.#cancelProbe?.();
    this.#node.close();
  }

  #probe(): void {
    this.#cancelProbe = this.#clock.after(PROBE_EVERY_MS, () => {
      void this.#client.send(CHANNEL.stdout, new Uint8Array());
      this.#probe();
    });
  }

  #checkUnread(): void {
    if (this.#node.unsentBytes <= MAX_UNREAD_INPUT_BYTES) return;
    this.left();
    this.#client.refuse(`the program left ${MAX_UNREAD_INPUT_BYTES} bytes of its input unread`);
  }

  async #tell(message: string): Promise<void> {
    if (this.#over) return;
    const status = {
      metadata: {},
      status: "Failure",
      message: `Internal error occurred: ${message}`,
      reason: "InternalError",
      details: { causes: [{ message }] },
      code: 500,
    };
    await this.#client.send(CHANNEL.error, Buffer.from(JSON.stringify(status)));
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelProbe?.();
    this.#node.close();
    this.#client.finish();
  }
}
