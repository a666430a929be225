import type { Socket } from "bun";
import {
  BODY_MALFORMED,
  BodyReader,
  fieldEntries,
  HeadReader,
  isFault,
  NEED_MORE,
  Outlet,
  parseResponseHead,
} from "../lib/index.ts";
import type { ResponseHead } from "../lib/index.ts";
import type { RawSocket } from "../os/index.ts";
import type { ApiListener } from "./listeners.ts";

/** What an endpoint may answer instead of an upgrade. */
const MAX_REFUSAL_BYTES = 1024 * 1024;
const MAX_HEAD_BYTES = 64 * 1024;
/** What waits for the one side while the other one is slow to stop. */
const MAX_HELD_BYTES = 4 * 1024 * 1024;
const SWITCHING = 101;

export interface ProxiedUpgradeOptions {
  /** Where the node's proxy listens for requests into the cluster. */
  readonly unix: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
  /** The client's own request, whose connection is taken over. */
  readonly came: Request;
  readonly listener: Pick<ApiListener, "takeOver">;
}

/**
 * Asks an endpoint to upgrade, and joins the client's connection to it when it does. Any other
 * answer is an answer like others: a client may go on to use its connection for requests of its
 * own, which must not reach the endpoint. Rejects when nobody answers.
 */
export async function proxiedUpgrade(options: ProxiedUpgradeOptions): Promise<Response> {
  const upgrade = new ProxiedUpgrade(options);
  await Bun.connect<ProxiedUpgrade>({
    unix: options.unix,
    data: upgrade,
    socket: {
      open: (socket) => upgrade.onOpen(socket),
      data: (_socket, chunk) => upgrade.onData(chunk),
      drain: () => upgrade.onDrain(),
      close: () => upgrade.onClose(),
      error: (socket) => socket.terminate(),
    },
  });
  return upgrade.answer;
}

class ProxiedUpgrade {
  readonly #options: ProxiedUpgradeOptions;
  readonly #reader = new HeadReader(MAX_HEAD_BYTES);
  readonly #answered = Promise.withResolvers<Response>();
  #socket: Socket<ProxiedUpgrade> | undefined;
  #outlet: Outlet | undefined;
  #refusal: { readonly head: ResponseHead; readonly body: BodyReader } | undefined;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #client: RawSocket | undefined;

  constructor(options: ProxiedUpgradeOptions) {
    this.#options = options;
  }

  get answer(): Promise<Response> {
    return this.#answered.promise;
  }

  onOpen(socket: Socket<ProxiedUpgrade>): void {
    this.#socket = socket;
    this.#outlet = new Outlet(socket, { maxHeldBytes: MAX_HELD_BYTES });
    const { method, target, headers, came } = this.#options;
    let head = `${method} ${target} HTTP/1.1\r\nconnection: Upgrade\r\n`;
    for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
    this.#outlet.write(Buffer.from(`${head}\r\n`, "latin1"));
    came.signal.addEventListener("abort", () => socket.terminate(), { once: true });
  }

  onData(chunk: Buffer): void {
    if (this.#client !== undefined) {
      if (!this.#client.write(chunk)) this.#socket?.pause();
      return;
    }
    let at = 0;
    while (this.#refusal === undefined && at < chunk.length) {
      const next = this.#reader.push(chunk, at);
      if (next === NEED_MORE) return;
      if (next < 0) return this.#fail("its answer is malformed");
      at = next;
      const { bytes, start, end } = this.#reader;
      const head = parseResponseHead(bytes, start, end, this.#options.method, "egress");
      if (isFault(head)) return this.#fail(head.message);
      if (head.status === SWITCHING) return this.#join(head, chunk.subarray(at));
      if (head.status > SWITCHING + 98) this.#begin(head);
    }
    this.#takeRefusal(chunk, at);
  }

  onDrain(): void {
    if (this.#outlet?.flush() === true) this.#client?.resume();
  }

  onClose(): void {
    this.#client?.end();
    const refusal = this.#refusal;
    if (refusal?.head.framing.type === "until-close") this.#refuse(refusal.head);
    else this.#fail("the connection ended before the answer");
  }

  #join(head: ResponseHead, early: Buffer): void {
    const { listener, came } = this.#options;
    const joined = listener.takeOver(came, {
      headers: Object.fromEntries(fieldsOf(head)),
      open: (client) => {
        this.#client = client;
        return {
          data: (bytes) => {
            if (this.#outlet?.write(bytes) === false) client.pause();
          },
          drained: () => {
            this.#socket?.resume();
          },
          closed: () => this.#outlet?.finishAndClose(),
        };
      },
    });
    if (!joined) return this.#fail("the client's connection cannot be upgraded");
    if (early.length > 0) this.#client?.write(early);
    this.#answered.resolve(new Response(null));
  }

  #begin(head: ResponseHead): void {
    this.#refusal = { head, body: new BodyReader(head.framing) };
  }

  #takeRefusal(chunk: Buffer, at: number): void {
    const refusal = this.#refusal;
    if (refusal === undefined) return;
    const end = refusal.body.consume(chunk, at, (bytes, from, to) => {
      this.#parts.push(bytes.subarray(from, to));
      this.#bytes += to - from;
    });
    if (end === BODY_MALFORMED || this.#bytes > MAX_REFUSAL_BYTES) {
      this.#fail("its answer is malformed or too long");
    } else if (refusal.body.done) this.#refuse(refusal.head);
  }

  #refuse(head: ResponseHead): void {
    const headers = new Headers();
    for (const [name, value] of fieldsOf(head)) {
      if (!/^(connection|content-length|transfer-encoding|upgrade)$/i.test(name)) {
        headers.append(name, value);
      }
    }
    const body = this.#bytes === 0 ? null : Buffer.concat(this.#parts);
    this.#answered.resolve(new Response(body, { status: head.status, headers }));
    this.#socket?.end();
  }

  /** Too late once there was an answer. */
  #fail(why: string): void {
    this.#answered.reject(new Error(why));
    this.#socket?.terminate();
  }
}

function fieldsOf({ bytes, fieldsStart, end }: ResponseHead): [string, string][] {
  return fieldEntries(bytes, fieldsStart, end - 2).map(([name, value]) => [
    name,
    value.toString("latin1"),
  ]);
}
