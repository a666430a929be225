/** Writes one protobuf message, field by field (the wire format of protobuf.dev/encoding). */
export class ProtobufWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** The message written so far. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Leaves the field out when the text is absent or empty, as proto3 does. */
  string(field: number, text: string | undefined): void {
    if (text !== undefined && text !== "") this.#block(field, new TextEncoder().encode(text));
  }

  strings(field: number, texts: readonly string[]): void {
    for (const text of texts) this.#block(field, new TextEncoder().encode(text));
  }

  bool(field: number, value: boolean): void {
    if (!value) return;
    this.#varint(field << 3);
    this.#varint(1);
  }

  /** A message inside the message, written even when it is empty. */
  message(field: number, write: (writer: ProtobufWriter) => void): void {
    const inner = new ProtobufWriter();
    write(inner);
    this.#block(field, inner.finish());
  }

  #block(field: number, bytes: Uint8Array): void {
    this.#varint((field << 3) | 2);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #varint(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
