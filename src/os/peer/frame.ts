/** A frame on the wire: length of type and payload (4 bytes, big endian), type (1), payload. */
export const FRAME_HEAD_BYTES = 5;
/** The largest frame there is; larger ones end the connection. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

export const FRAME = {
  ping: 0,
  /** One consensus message. */
  message: 1,
  /** Head of a request or a response, JSON. */
  head: 2,
  data: 3,
  end: 4,
  /** A body or a transfer failed: why, as text. */
  failed: 5,
  /** SHA-256 of a whole transfer. */
  digest: 6,
  /** The receiver took the transfer over. */
  taken: 7,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

/** A frame's head, to be written before `payloadBytes` of payload. */
export function frameHead(type: FrameType, payloadBytes: number): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  head.writeUInt32BE(payloadBytes + 1, 0);
  head[4] = type;
  return head;
}

/** A whole frame; for small payloads, since it copies. */
export function frame(type: FrameType, payload: Uint8Array | string = ""): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const whole = Buffer.allocUnsafe(FRAME_HEAD_BYTES + bytes.length);
  whole.writeUInt32BE(bytes.length + 1, 0);
  whole[4] = type;
  whole.set(bytes, FRAME_HEAD_BYTES);
  return whole;
}

/**
 * Cuts a stream into frames. A payload inside of one chunk is not copied; one that spans chunks is
 * copied once, into a buffer of its length that grows with what really came.
 */
export class FrameReader {
  readonly #onFrame: (type: number, payload: Buffer) => void;
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #partBytes = 0;
  #stopped = false;

  constructor(
    onFrame: (type: number, payload: Buffer) => void,
    options: { readonly maxBytes: number } = { maxBytes: MAX_FRAME_BYTES },
  ) {
    this.#onFrame = onFrame;
    this.#maxBytes = options.maxBytes;
  }

  /** No further frame is told. */
  stop(): void {
    this.#stopped = true;
    this.#parts = [];
  }

  /** Throws on a frame that is too long, or empty. */
  push(chunk: Buffer): void {
    let rest = chunk;
    if (this.#partBytes > 0) {
      this.#parts.push(chunk);
      this.#partBytes += chunk.length;
      if (this.#partBytes < this.#wanted()) return;
      rest = Buffer.concat(this.#parts, this.#partBytes);
      this.#parts = [];
      this.#partBytes = 0;
    }
    while (rest.length >= FRAME_HEAD_BYTES && !this.#stopped) {
      const end = 4 + this.#lengthOf(rest);
      if (rest.length < end) break;
      this.#onFrame(rest[4] ?? 0, rest.subarray(FRAME_HEAD_BYTES, end));
      rest = rest.subarray(end);
    }
    if (rest.length === 0 || this.#stopped) return;
    this.#parts = [rest];
    this.#partBytes = rest.length;
    // Checked at once: a length that is not allowed must not wait for its bytes.
    if (rest.length >= FRAME_HEAD_BYTES) this.#lengthOf(rest);
  }

  #wanted(): number {
    const first = this.#parts[0] ?? Buffer.alloc(0);
    if (first.length >= FRAME_HEAD_BYTES) return 4 + this.#lengthOf(first);
    if (this.#partBytes < FRAME_HEAD_BYTES) return FRAME_HEAD_BYTES;
    this.#parts = [Buffer.concat(this.#parts, this.#partBytes)];
    return 4 + this.#lengthOf(this.#parts[0] ?? first);
  }

  #lengthOf(head: Buffer): number {
    const length = head.readUInt32BE(0);
    if (length < 1 || length > this.#maxBytes) {
      throw new Error(`a frame of ${length} bytes, allowed are 1 to ${this.#maxBytes}`);
    }
    return length;
  }
}
