/** Where a guest's standard output or error goes. */
export interface OutputStream {
  readonly kind: "output";
  /** A terminal makes wasi-libc write line by line, which is what a log wants. */
  readonly lineBuffered: boolean;
  /** Takes all bytes (they are copied); a promise when the guest has to wait for room. */
  write(bytes: Uint8Array): void | Promise<void>;
}

/** Where a guest's standard input comes from. */
export interface InputStream {
  readonly kind: "input";
  /** Fills the buffer; 0 is the end. Never waits. */
  read(buffer: Uint8Array): number;
}

/** Standard input of a container: at its end from the start, like /dev/null. */
export const emptyInput: InputStream = { kind: "input", read: () => 0 };

/** Standard input made of bytes that are all there. */
export function bytesInput(bytes: Uint8Array): InputStream {
  let position = 0;
  return {
    kind: "input",
    read(buffer) {
      const part = bytes.subarray(position, position + buffer.length);
      buffer.set(part);
      position += part.length;
      return part.length;
    },
  };
}
