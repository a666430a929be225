import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { DataDirectory } from "./data-directory.ts";

/**
 * What two processes say to each other while one takes the other's place. The newer one says
 * `hello` and `ready`; the older one `yours` when the state is given away, `left` when it listens
 * no more, and `refused` instead of either.
 */
const messageSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("hello"),
    protocol: z.int(),
    pid: z.int().positive(),
    startTime: z.string(),
  }),
  z.object({ type: z.literal("ready") }),
  z.object({ type: z.literal("yours") }),
  z.object({ type: z.literal("left") }),
  z.object({ type: z.literal("refused"), reason: z.string() }),
]);

export type HandoverMessage = z.infer<typeof messageSchema>;

export const HANDOVER_PROTOCOL = 1;
const MAX_LINE_BYTES = 4_096;

export interface HandoverPeer {
  send(message: HandoverMessage): void;
  /** The next message of this kind; rejects when the other end is gone or refuses. */
  next<T extends HandoverMessage["type"]>(type: T): Promise<Extract<HandoverMessage, { type: T }>>;
  /** Resolves when the connection ended. */
  readonly gone: Promise<void>;
  close(): void;
}

/** In a folder that only the owner of the data directory enters. */
function socketPath(directory: Pick<DataDirectory, "sockets">): string {
  return join(directory.sockets, "handover.sock");
}

/** Waits for a successor; a path that is there is replaced. */
export function listenForSuccessor(
  directory: Pick<DataDirectory, "sockets">,
  onPeer: (peer: HandoverPeer) => void,
): { close(): void } {
  const path = socketPath(directory);
  // Bun removes the path that it listened at, which by then may be a successor's.
  const made = `${path}.${process.pid}`;
  rmSync(made, { force: true });
  const listener = Bun.listen<Connection>({
    unix: made,
    socket: {
      ...EVENTS,
      open: (socket) => {
        socket.data = new Connection(socket);
        onPeer(socket.data);
      },
    },
  });
  renameSync(made, path);
  listener.unref();
  return { close: () => listener.stop(false) };
}

/** Undefined when nobody listens there. */
export async function connectToPredecessor(
  directory: Pick<DataDirectory, "sockets">,
): Promise<HandoverPeer | undefined> {
  const opened = Promise.withResolvers<Connection>();
  try {
    await Bun.connect<Connection | undefined>({
      unix: socketPath(directory),
      data: undefined,
      socket: {
        data: (socket, chunk) => socket.data?.received(chunk),
        close: (socket) => socket.data?.ended(),
        open: (socket) => {
          const connection = new Connection(socket);
          socket.data = connection;
          opened.resolve(connection);
        },
      },
    });
    return await opened.promise;
  } catch {
    return undefined;
  }
}

type Wire = Pick<Bun.Socket, "write" | "end">;

class Connection implements HandoverPeer {
  readonly gone: Promise<void>;
  readonly #socket: Wire;
  readonly #waiting = new Map<string, PromiseWithResolvers<HandoverMessage>>();
  #end: () => void = () => undefined;
  #unread = "";

  constructor(socket: Wire) {
    this.#socket = socket;
    this.gone = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  send(message: HandoverMessage): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  async next<T extends HandoverMessage["type"]>(
    type: T,
  ): Promise<Extract<HandoverMessage, { type: T }>> {
    const lost = this.gone.then(() => Promise.reject(new Error("the other process is gone")));
    const message = await Promise.race([this.#awaited(type).promise, lost]);
    return message as Extract<HandoverMessage, { type: T }>;
  }

  close(): void {
    this.#socket.end();
  }

  received(chunk: Uint8Array): void {
    this.#unread += Buffer.from(chunk).toString("utf8");
    if (this.#unread.length > MAX_LINE_BYTES) return this.close();
    for (let at = this.#unread.indexOf("\n"); at >= 0; at = this.#unread.indexOf("\n")) {
      const line = this.#unread.slice(0, at);
      this.#unread = this.#unread.slice(at + 1);
      this.#take(line);
    }
  }

  ended(): void {
    this.#end();
  }

  #take(line: string): void {
    let message: HandoverMessage;
    try {
      message = messageSchema.parse(JSON.parse(line));
    } catch {
      return this.close(); // It speaks something else.
    }
    if (message.type === "refused") {
      for (const one of this.#waiting.values()) one.reject(new Error(message.reason));
    }
    this.#awaited(message.type).resolve(message);
  }

  #awaited(type: HandoverMessage["type"]): PromiseWithResolvers<HandoverMessage> {
    const known = this.#waiting.get(type);
    if (known !== undefined) return known;
    const made = Promise.withResolvers<HandoverMessage>();
    // Nobody may be waiting when it is refused.
    made.promise.catch(() => undefined);
    this.#waiting.set(type, made);
    return made;
  }
}

const EVENTS = {
  data: (socket: Bun.Socket<Connection>, chunk: Buffer): void => socket.data.received(chunk),
  close: (socket: Bun.Socket<Connection>): void => socket.data.ended(),
};
