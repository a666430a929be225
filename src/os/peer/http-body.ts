import { z } from "zod";
import { FRAME } from "./frame.ts";
import type { FramedConnection } from "./framed-connection.ts";

/** Bytes of a body that wait for their reader before the peer is held back. */
export const BODY_BUFFER_BYTES = 256 * 1024;
/** A body is sent in frames of at most this. */
const BODY_FRAME_BYTES = 1024 * 1024;
/** Heads are larger than this only by mistake. */
export const MAX_HEAD_BYTES = 256 * 1024;

const headers = z.array(z.tuple([z.string(), z.string()])).max(1_000);

export const requestHeadSchema = z.object({
  method: z.string().regex(/^[A-Za-z]{1,32}$/),
  /** Path and query. */
  target: z.string().startsWith("/"),
  headers,
  /** Whether data and an end follow. */
  body: z.boolean(),
});

export const responseHeadSchema = z.object({
  status: z.int().min(200).max(599),
  statusText: z.string(),
  headers,
  body: z.boolean(),
});

export type RequestHead = z.infer<typeof requestHeadSchema>;
export type ResponseHead = z.infer<typeof responseHeadSchema>;

/** Sends a body and its end. Rejects when the body fails; stops when the connection is gone. */
export async function sendBody(
  connection: FramedConnection,
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel(signal.reason).catch(() => undefined);
  if (signal.aborted) return cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    for (;;) {
      // One after the other is what holds the source back.
      const { done, value } = await reader.read();
      if (signal.aborted || connection.closed) return cancel();
      if (done) break;
      for (let from = 0; from < value.length; from += BODY_FRAME_BYTES) {
        const part = value.subarray(from, from + BODY_FRAME_BYTES);
        if (!connection.send(FRAME.data, part)) await connection.writable();
      }
    }
    connection.send(FRAME.end);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** A body that arrives in frames; a reader that does not keep up holds the peer back. */
export class IncomingBody {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #connection: FramedConnection;
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;

  constructor(connection: FramedConnection, onCancel: () => void) {
    this.stream = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => connection.resume(),
        cancel: () => {
          this.#controller = undefined;
          onCancel();
        },
      },
      { highWaterMark: BODY_BUFFER_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
    );
    this.#connection = connection;
  }

  push(payload: Buffer): void {
    const controller = this.#controller;
    if (controller === undefined || payload.length === 0) return;
    controller.enqueue(
      // Bun gives each chunk a buffer of its own, which is never a shared one.
      new Uint8Array(payload.buffer as ArrayBuffer, payload.byteOffset, payload.byteLength),
    );
    if ((controller.desiredSize ?? 1) <= 0) this.#connection.pause();
  }

  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  fail(error: Error): void {
    this.#controller?.error(error);
    this.#controller = undefined;
  }
}
