import type { HostClock } from "../../host/host-clock.ts";
import type { HttpHeaders } from "../preview-two.ts";
import { MAX_WRITE_BYTES, type OutputSink } from "../io/output-stream.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { IoFailure } from "../io/io-failure.ts";
import { ReadySignal } from "../io/ready-signal.ts";

/** How a body ended: with trailers or none, or broken off. */
export type BodyEnd =
  | { readonly kind: "finished"; readonly trailers: HttpHeaders | undefined }
  | { readonly kind: "broken"; readonly reason: Error };

/**
 * A body on its way from the guest to whoever sends it, with at most {@link MAX_WRITE_BYTES} held.
 * Above that the guest waits, which is all the back pressure there is: nothing else is buffered.
 */
export class BodyPipe implements OutputSink {
  readonly #scope: InstanceScope;
  readonly #signal = new ReadySignal();
  #chunks: Uint8Array[] = [];
  #held = 0;
  #end: BodyEnd | undefined;
  #refusal: IoFailure | undefined;
  #onChange: (() => void) | undefined;

  constructor(scope: InstanceScope) {
    this.#scope = scope;
  }

  // The guest's side.

  room(): number | undefined {
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#end !== undefined) return undefined;
    return Math.max(0, Math.min(MAX_WRITE_BYTES - this.#held, this.#scope.roomBytes));
  }

  write(bytes: Uint8Array): void {
    this.#scope.hold(bytes.length);
    this.#chunks.push(bytes);
    this.#held += bytes.length;
    this.#onChange?.();
  }

  flush(): void {}

  /** What is held leaves as soon as it can: nothing has to be waited for but room. */
  flushing(): boolean {
    return this.#held >= MAX_WRITE_BYTES && this.#refusal === undefined;
  }

  ready(): boolean {
    return this.#refusal !== undefined || (this.room() ?? 1) > 0;
  }

  watch(callback: () => void): () => void {
    return this.#signal.watch(callback);
  }

  /** The guest dropped its stream: more of them may come, the end does not follow from it. */
  close(): void {}

  end(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    if (end.kind === "broken") this.#drop();
    this.#onChange?.();
    this.#signal.notify();
  }

  // The other side.

  get ended(): BodyEnd | undefined {
    return this.#end;
  }

  get heldBytes(): number {
    return this.#held;
  }

  get full(): boolean {
    return this.#held >= MAX_WRITE_BYTES;
  }

  /** Calls back whenever bytes or the end came. */
  onChange(callback: (() => void) | undefined): void {
    this.#onChange = callback;
  }

  /** All bytes that are there, in one piece; undefined for none. */
  take(): Uint8Array | undefined {
    const [first] = this.#chunks;
    if (first === undefined) return undefined;
    const bytes = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.#drop();
    this.#signal.notify();
    return bytes;
  }

  /** Nobody sends it any more: what the guest writes from now on fails with the reason. */
  refuse(reason: IoFailure): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = reason;
    this.#drop();
    this.#signal.notify();
  }

  /** As {@link refuse}, when it is the client that went away. */
  cancel(): void {
    const code = { tag: "connection-terminated" } as const;
    this.refuse(new IoFailure("the client went away", { kind: "http", code }));
  }

  #drop(): void {
    this.#scope.letGo(this.#held);
    this.#chunks = [];
    this.#held = 0;
  }
}

/**
 * Gives the guest until the event loop's next turn to finish a body, so that a short one can be
 * sent in one piece. Resolves at once when it ended or when no more of it is held.
 */
export function bodyAtHand(pipe: BodyPipe, clock: HostClock): Promise<void> {
  return new Promise((resolve) => {
    let decided = false;
    const decide = () => {
      // Whoever sends the body may listen to the pipe by the time the turn comes.
      if (decided) return;
      decided = true;
      pipe.onChange(undefined);
      resolve();
    };
    const look = () => {
      if (pipe.ended !== undefined || pipe.full) decide();
    };
    pipe.onChange(look);
    clock.nextTurn(decide);
    look();
  });
}
