import { createHash } from "node:crypto";
import type { RawSession, RawSocket } from "./served-connection.ts";

/** A WebSocket for whoever serves it. */
export interface MessageSocket {
  /** False: it is sent, but the next message should wait for `drained`. */
  send(bytes: Uint8Array): boolean;
  close(code: number, reason: string): void;
  pause(): void;
  resume(): void;
}

export interface MessageSession {
  message(bytes: Uint8Array): void;
  drained(): void;
  closed(): void;
}

/** A message of a client may have this many bytes. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FIN = 0x80;
const MASKED = 0x80;
const MAX_CONTROL_BYTES = 125;
const MAX_REASON_BYTES = 120;
const PROTOCOL_ERROR = 1002;
const TOO_BIG = 1009;

/** The fields of the answer that accepts; undefined for what asks for no WebSocket (RFC 6455). */
export function webSocketAnswer(
  headers: Headers,
  protocol: string,
): Readonly<Record<string, string>> | undefined {
  const key = headers.get("sec-websocket-key") ?? "";
  const asks = headers.get("upgrade")?.toLowerCase() === "websocket" && key !== "";
  if (!asks || headers.get("sec-websocket-version") !== "13") return undefined;
  const accept = createHash("sha1")
    .update(key + ACCEPT_SUFFIX)
    .digest("base64");
  return {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-accept": accept,
    ...(protocol === "" ? {} : { "sec-websocket-protocol": protocol }),
  };
}

interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** The server's side of a WebSocket over a bare connection. */
export class WebSocketSession implements RawSession, MessageSocket {
  readonly #socket: RawSocket;
  readonly #session: MessageSession;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** How many bytes the next step needs; what comes before is only kept. */
  #wantedBytes = 2;
  #parts: Buffer[] = [];
  #partBytes = 0;
  #ended = false;

  constructor(socket: RawSocket, open: (socket: MessageSocket) => MessageSession) {
    this.#socket = socket;
    this.#session = open(this);
  }

  send(bytes: Uint8Array): boolean {
    return this.#ended || this.#socket.write(frame(OPCODE.binary, bytes));
  }

  close(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const text = Buffer.from(reason).subarray(0, MAX_REASON_BYTES);
    const payload = Buffer.alloc(2 + text.length);
    payload.writeUInt16BE(code);
    text.copy(payload, 2);
    this.#socket.write(frame(OPCODE.close, payload));
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  data(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#held.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes < this.#wantedBytes) return;
    let rest =
      this.#held.length === 1 ? (this.#held[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#held);
    while (!this.#ended) {
      const taken = this.#take(rest);
      if (taken === 0) break;
      rest = rest.subarray(taken);
    }
    this.#held = rest.length === 0 ? [] : [rest];
    this.#heldBytes = rest.length;
  }

  drained(): void {
    if (!this.#ended) this.#session.drained();
  }

  closed(): void {
    this.#ended = true;
    this.#session.closed();
  }

  /** Reads one frame; 0 when it is not here yet. */
  #take(bytes: Buffer): number {
    const [first, second] = bytes;
    if (first === undefined || second === undefined) return this.#wait(2);
    const short = second & 0x7f;
    const control = (first & 0x08) !== 0;
    const illegal = (second & MASKED) === 0 || (first & 0x70) !== 0;
    if (illegal || (control && (short > MAX_CONTROL_BYTES || (first & FIN) === 0))) {
      return this.#fail(PROTOCOL_ERROR, "malformed frame");
    }
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    const head = 2 + extended + 4;
    if (bytes.length < head) return this.#wait(head);
    const length =
      extended === 0
        ? short
        : extended === 2
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2));
    if (length + this.#partBytes > MAX_MESSAGE_BYTES) {
      return this.#fail(TOO_BIG, `a message has at most ${MAX_MESSAGE_BYTES} bytes`);
    }
    if (bytes.length < head + length) return this.#wait(head + length);
    const payload = Buffer.from(bytes.subarray(head, head + length));
    unmask(payload, bytes.subarray(head - 4, head));
    this.#wantedBytes = 2;
    this.#onFrame({ fin: (first & FIN) !== 0, opcode: first & 0x0f, payload });
    return head + length;
  }

  #wait(bytes: number): 0 {
    this.#wantedBytes = bytes;
    return 0;
  }

  #fail(code: number, reason: string): 0 {
    this.close(code, reason);
    return 0;
  }

  #onFrame({ fin, opcode, payload }: Frame): void {
    switch (opcode) {
      case OPCODE.text:
      case OPCODE.binary:
      case OPCODE.continuation: {
        const begins = opcode !== OPCODE.continuation;
        if (begins === this.#parts.length > 0) {
          this.#fail(PROTOCOL_ERROR, "fragments out of order");
          return;
        }
        if (begins && fin) return this.#session.message(payload);
        this.#parts.push(payload);
        this.#partBytes += payload.length;
        if (!fin) return;
        const message = Buffer.concat(this.#parts);
        this.#parts = [];
        this.#partBytes = 0;
        return this.#session.message(message);
      }
      case OPCODE.ping:
        this.#socket.write(frame(OPCODE.pong, payload));
        return;
      case OPCODE.pong:
        return;
      case OPCODE.close:
        this.#ended = true;
        this.#socket.write(frame(OPCODE.close, payload.subarray(0, 2)));
        this.#socket.end();
        return;
      default:
        this.#fail(PROTOCOL_ERROR, "unknown frame");
    }
  }
}

function frame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const bytes = Buffer.allocUnsafe(2 + extended + length);
  bytes[0] = FIN | opcode;
  bytes[1] = extended === 0 ? length : extended === 2 ? 126 : 127;
  if (extended === 2) bytes.writeUInt16BE(length, 2);
  if (extended === 8) bytes.writeBigUInt64BE(BigInt(length), 2);
  bytes.set(payload, 2 + extended);
  return bytes;
}

function unmask(payload: Buffer, mask: Uint8Array): void {
  for (let at = 0; at < payload.length; at++)
    payload[at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
}
