/** Bytes that wait in an inbox before its source is asked to pause. */
export const INBOX_ROOM_BYTES = 256 * 1024;

export interface ByteInboxOptions {
  /** There is room again after {@link ByteInbox.push} said that there is none. */
  readonly onRoom?: () => void;
  /** Nobody reads any more: what comes from now on is dropped. */
  readonly onCancel?: () => void;
  readonly roomBytes?: number;
}

/** A stream that callbacks feed: the reading side of a socket, or of one channel among several. */
export class ByteInbox {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #roomBytes: number;
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;

  constructor({ onRoom, onCancel, roomBytes = INBOX_ROOM_BYTES }: ByteInboxOptions = {}) {
    this.#roomBytes = roomBytes;
    this.stream = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => onRoom?.(),
        cancel: () => {
          this.#controller = undefined;
          onCancel?.();
        },
      },
      { highWaterMark: roomBytes, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  /** What was pushed and not read yet. */
  get heldBytes(): number {
    return this.#roomBytes - (this.#controller?.desiredSize ?? this.#roomBytes);
  }

  /** Takes the bytes, which must not change afterwards; false asks the source to pause. */
  push(bytes: Uint8Array): boolean {
    if (this.#controller === undefined || bytes.length === 0) return true;
    // What comes from sockets is never shared memory.
    const { buffer, byteOffset, byteLength } = bytes;
    this.#controller.enqueue(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
    return (this.#controller.desiredSize ?? 1) > 0;
  }

  /** Nothing more comes. */
  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  /** Drops what was not read: the reader gets the error. */
  fail(error: Error): void {
    this.#controller?.error(error);
    this.#controller = undefined;
  }
}
