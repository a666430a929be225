/**
 * The channels of a program that is run or joined from outside, numbered as in Kubernetes'
 * WebSocket protocols. `close` (its payload is the number of a channel) came with v5.
 */
export const CHANNEL = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  /** One Status as JSON, last. */
  error: 3,
  /** `{"Width": columns, "Height": rows}` */
  resize: 4,
  close: 255,
} as const;

/** What goes over a channel; between machines each has its length before it. */
export interface ChannelMessage {
  readonly channel: number;
  readonly payload: Uint8Array;
}

const HEAD_BYTES = 5;
/** Frames are cut to this by whoever writes them. */
export const MAX_CHANNEL_PAYLOAD_BYTES = 64 * 1024;

/** The messages' bytes: four of length, one of channel, payload; long payloads become several. */
export function channelFrame(channel: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const count = Math.max(1, Math.ceil(payload.length / MAX_CHANNEL_PAYLOAD_BYTES));
  const bytes = new Uint8Array(payload.length + count * HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const from = index * MAX_CHANNEL_PAYLOAD_BYTES;
    const part = payload.subarray(from, from + MAX_CHANNEL_PAYLOAD_BYTES);
    view.setUint32(at, part.length);
    view.setUint8(at + 4, channel);
    bytes.set(part, at + HEAD_BYTES);
    at += HEAD_BYTES + part.length;
  }
  return bytes;
}

/** Cuts a stream of bytes into messages; what comes in pieces is handed on in pieces. */
export class ChannelFrameReader {
  #held: Uint8Array = new Uint8Array();

  /** Throws for a message that is longer than any writer makes them. */
  push(chunk: Uint8Array): readonly ChannelMessage[] {
    const messages: ChannelMessage[] = [];
    const bytes = this.#held.length === 0 ? chunk : joined(this.#held, chunk);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = view.getUint32(at);
      if (length > MAX_CHANNEL_PAYLOAD_BYTES) {
        throw new Error(`a message of ${length} bytes: at most ${MAX_CHANNEL_PAYLOAD_BYTES}`);
      }
      const end = at + HEAD_BYTES + length;
      if (bytes.length < end) break;
      messages.push({
        channel: view.getUint8(at + 4),
        payload: bytes.subarray(at + HEAD_BYTES, end),
      });
      at = end;
    }
    this.#held = bytes.subarray(at);
    return messages;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
