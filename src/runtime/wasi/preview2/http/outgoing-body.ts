import { GuestError, plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { IoFailure } from "../io/io-failure.ts";
import { OutputStream, type OutputSink } from "../io/output-stream.ts";
import { Resource } from "../io/resource.ts";
import { BodyPipe } from "./body-pipe.ts";
import type { Fields } from "./fields.ts";
import { HttpError, type ErrorCode } from "./http-error.ts";

export type MessageKind = "request" | "response";

/** The resource `outgoing-body` of wasi:http/types. */
export class OutgoingBody extends Resource {
  readonly pipe: BodyPipe;
  readonly #kind: MessageKind;
  readonly #declared: number | undefined;
  #written = 0;
  #streamTaken = false;

  /** `declared` is the content-length of the message, when it has one. */
  constructor(
    scope: InstanceScope,
    options: { readonly kind: MessageKind; readonly declared: number | undefined },
  ) {
    super(scope);
    this.pipe = new BodyPipe(scope);
    this.#kind = options.kind;
    this.#declared = options.declared;
  }

  write(): OutputStream {
    if (this.#streamTaken) throw plainFailure();
    const stream = new OutputStream(this.scope, this.#countingSink(), this);
    this.#streamTaken = true;
    return stream;
  }

  /** `finish`: the body is complete, unless it is not as long as it was said to be. */
  static finish(body: OutgoingBody, trailers: Fields | undefined): void {
    body.surrender();
    const list = trailers?.take();
    const declared = body.#declared;
    if (declared !== undefined && declared !== body.#written) {
      const code = sizeError(body.#kind, body.#written);
      body.pipe.end({ kind: "broken", reason: new HttpError(code) });
      throw new GuestError<ErrorCode>(code);
    }
    body.pipe.end({ kind: "finished", trailers: list });
  }

  /**
   * Dropped unfinished: whoever reads it must see that it is not whole. A guest that returned and
   * wrote nothing, as StarlingMonkey does when its listener throws, had only a head to say.
   */
  protected override released(): void {
    const silent = this.#written === 0 && this.#declared === undefined;
    if (this.scope.closed && this.#kind === "response" && silent) {
      return this.pipe.end({ kind: "finished", trailers: undefined });
    }
    const reason = new HttpError({ tag: "HTTP-response-incomplete" });
    this.pipe.end({ kind: "broken", reason });
  }

  #countingSink(): OutputSink {
    const { pipe } = this;
    return {
      room: () => pipe.room(),
      write: (bytes) => {
        this.#written += bytes.length;
        if (this.#declared !== undefined && this.#written > this.#declared) {
          const code = sizeError(this.#kind, this.#written);
          pipe.end({ kind: "broken", reason: new HttpError(code) });
          throw new IoFailure("more than content-length says", { kind: "http", code });
        }
        pipe.write(bytes);
      },
      flush: () => pipe.flush(),
      flushing: () => pipe.flushing(),
      ready: () => pipe.ready(),
      watch: (callback) => pipe.watch(callback),
      close: () => pipe.close(),
    };
  }
}

function sizeError(kind: MessageKind, written: number): ErrorCode {
  return { tag: `HTTP-${kind}-body-size`, val: BigInt(written) };
}
