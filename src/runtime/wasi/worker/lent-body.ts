/**
 * A request's body that is lent to one guest after the other: as long as none has read of it, who
 * lets it go does not end it.
 */
export class LentBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #onMove: () => void;
  #touched = false;
  #kept = true;
  /** A guest let it go; it is ended when no other will want it. */
  #unwanted = false;

  constructor(source: ReadableStream<Uint8Array>, onMove: () => void) {
    this.#reader = source.getReader();
    this.#onMove = onMove;
  }

  /** Somebody began to read it. */
  get touched(): boolean {
    return this.#touched;
  }

  lend(): ReadableStream<Uint8Array> {
    this.#unwanted = false;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          this.#touched = true;
          const read = await this.#reader.read();
          this.#onMove();
          if (read.done) controller.close();
          else controller.enqueue(read.value);
        },
        cancel: () => {
          this.#unwanted = true;
          this.#endUnwanted();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Nobody else will want it: whoever has it lets it go for good. */
  settle(): void {
    this.#kept = false;
    this.#endUnwanted();
  }

  #endUnwanted(): void {
    if (!this.#unwanted || (this.#kept && !this.#touched)) return;
    this.#reader.cancel().catch(() => undefined);
  }
}
