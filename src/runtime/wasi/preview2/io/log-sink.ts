import type { OutputStream as HostOutput } from "../../host/streams.ts";
import type { OutputSink } from "./output-stream.ts";
import { MAX_WRITE_BYTES } from "./output-stream.ts";
import { ReadySignal } from "./ready-signal.ts";

/** Standard output or error: what the container's log takes. */
export class LogSink implements OutputSink {
  readonly #output: HostOutput;
  readonly #signal = new ReadySignal();
  #pending = false;

  constructor(output: HostOutput) {
    this.#output = output;
  }

  room(): number {
    return this.#pending ? 0 : MAX_WRITE_BYTES;
  }

  write(bytes: Uint8Array): void {
    const written = this.#output.write(bytes);
    if (written === undefined) return;
    this.#pending = true;
    const settle = () => {
      this.#pending = false;
      this.#signal.notify();
    };
    written.then(settle, settle);
  }

  flush(): void {}

  flushing(): boolean {
    return this.#pending;
  }

  ready(): boolean {
    return !this.#pending;
  }

  watch(callback: () => void): () => void {
    return this.#signal.watch(callback);
  }

  close(): void {}
}
