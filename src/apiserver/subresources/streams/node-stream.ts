import {
  badRequest,
  internalError,
  StatusError,
  tooManyRequests,
} from "../../../apimachinery/index.ts";
import { ByteInbox, CHANNEL, channelFrame, ChannelFrameReader } from "../../../lib/index.ts";
import type { ChannelMessage } from "../../../lib/index.ts";
import type { ApiContext } from "../../api-request.ts";
import { askNode } from "../pod-log.ts";

/** Bytes on their way to a program that does not read: over transports that cannot pause. */
export const MAX_UNREAD_INPUT_BYTES = 64 * 1024 * 1024;

export interface NodeStreamTarget {
  readonly node: string;
  /** Path and query at the node agent. */
  readonly path: string;
  /** "pods/exec": for the words of a refusal. */
  readonly what: string;
}

/** Opens a stream to the node agent of a pod. Throws the Status that tells why it cannot. */
export async function openNodeStream(
  context: Pick<ApiContext, "nodeConnector" | "clock">,
  { node, path, what }: NodeStreamTarget,
): Promise<NodeStream> {
  const abort = new AbortController();
  const waiting = new RoomOf();
  const input = new ByteInbox({ onRoom: () => waiting.release() });
  const answer = await askNode(context, node, (late) => {
    // The types do not know of bodies that are still being written.
    const sending: RequestInit & { readonly duplex: "half" } = {
      method: "POST",
      body: input.stream,
      duplex: "half",
      signal: AbortSignal.any([abort.signal, late]),
    };
    return new Request(`http://${encodeURIComponent(node)}${path}`, sending);
  });
  if (answer.ok && answer.body !== null) {
    return new NodeStream(answer.body, { input, waiting, abort });
  }
  input.end();
  throw refusalOf(answer.status, (await answer.text()).trim(), what);
}

/** Lets those wait that must not write more. */
class RoomOf {
  #room: PromiseWithResolvers<void> | undefined;

  get promise(): Promise<void> | undefined {
    return this.#room?.promise;
  }

  close(): void {
    this.#room ??= Promise.withResolvers();
  }

  release(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

/** Channels to a program or a port on a node, wherever it is. */
export class NodeStream {
  readonly #body: ReadableStream<Uint8Array>;
  readonly #input: ByteInbox;
  readonly #waiting: RoomOf;
  readonly #abort: AbortController;
  #over = false;

  constructor(
    body: ReadableStream<Uint8Array>,
    parts: {
      readonly input: ByteInbox;
      readonly waiting: RoomOf;
      readonly abort: AbortController;
    },
  ) {
    this.#body = body;
    this.#input = parts.input;
    this.#waiting = parts.waiting;
    this.#abort = parts.abort;
  }

  /** What comes from the node, in order. Throws when the node or the way to it is lost. */
  async *messages(): AsyncGenerator<ChannelMessage> {
    const reader = new ChannelFrameReader();
    for await (const chunk of this.#body) yield* reader.push(chunk);
  }

  /** Undefined: more may be sent. Else resolves when the other side took enough of it. */
  send(channel: number, payload: Uint8Array): Promise<void> | undefined {
    if (this.#over) return undefined;
    if (this.#input.push(channelFrame(channel, payload))) return undefined;
    this.#waiting.close();
    return this.#waiting.promise;
  }

  /** Ends the input; output goes on. */
  endInput(): void {
    void this.send(CHANNEL.close, new Uint8Array([CHANNEL.stdin]));
  }

  /** What was sent and is not on its way yet. */
  get unsentBytes(): number {
    return this.#input.heldBytes;
  }

  /** Cuts the stream: what is at its other end is told that its client is gone. Idempotent. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#input.end();
    this.#waiting.release();
    this.#abort.abort(new Error("the client is gone"));
  }
}

/** The node agent answers in plain text; what it says becomes the Status. */
function refusalOf(status: number, text: string, what: string): StatusError {
  switch (status) {
    case 400:
    case 404:
      return badRequest(`unable to upgrade connection: ${text}`);
    case 429:
      return tooManyRequests(text, 1);
    case 501:
      return new StatusError({
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        message: `${what} is not possible: ${text}`,
        reason: "NotImplemented",
        details: {},
        code: status,
      });
    default:
      return internalError(new Error(text));
  }
}
