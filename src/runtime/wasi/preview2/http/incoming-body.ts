import type { HttpHeaders } from "../preview-two.ts";
import { plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { IoFailure } from "../io/io-failure.ts";
import { InputStream, type InputSource } from "../io/input-stream.ts";
import { Pollable, type PollSource } from "../io/pollable.ts";
import { ReadySignal } from "../io/ready-signal.ts";
import { Resource } from "../io/resource.ts";
import { Fields, visibleFields } from "./fields.ts";
import { HttpError, type ErrorCode } from "./http-error.ts";

/** A body that comes in, and what follows it. */
export interface BodySource {
  readonly bytes: InputSource;
  /** Settles once the body is read to its end; rejects with HttpError when it broke off. */
  readonly trailers: Promise<HttpHeaders | undefined>;
  /** Whether the body was read to its end, so that trailers are worth waiting for. */
  readonly complete: () => boolean;
}

type Outcome<Value> =
  | { readonly tag: "ok"; readonly val: Value }
  | { readonly tag: "err"; readonly val: ErrorCode };

/** The resource `incoming-body` of wasi:http/types. */
export class IncomingBody extends Resource {
  readonly #source: BodySource;
  #streamTaken = false;

  constructor(scope: InstanceScope, source: BodySource) {
    super(scope);
    this.#source = source;
  }

  stream(): InputStream {
    if (this.#streamTaken) throw plainFailure();
    const { bytes } = this.#source;
    const stream = new InputStream(
      this.scope,
      { ...delegate(bytes), close: () => undefined },
      this,
    );
    this.#streamTaken = true;
    return stream;
  }

  /** `finish`: what was not read is not wanted; there are no trailers then. */
  static finish(body: IncomingBody): FutureTrailers {
    body.surrender();
    const { bytes, trailers, complete } = body.#source;
    if (complete() || atEnd(bytes)) return new FutureTrailers(body.scope, trailers);
    bytes.close();
    return new FutureTrailers(body.scope, Promise.resolve(undefined));
  }

  protected override released(): void {
    this.#source.bytes.close();
  }
}

/** A guest that reads exactly what there is never sees the end; it asks for trailers after it. */
function atEnd(source: InputSource): boolean {
  try {
    return source.read(1) === undefined;
  } catch (error) {
    if (error instanceof IoFailure) return true;
    throw error;
  }
}

function delegate(source: InputSource): InputSource {
  return {
    read: (limit) => source.read(limit),
    ready: () => source.ready(),
    watch: (callback) => source.watch(callback),
    close: () => source.close(),
  };
}

/** A value of `future-…` resources: set once, taken once. */
export class FutureValue<Value> implements PollSource {
  readonly #signal = new ReadySignal();
  #outcome: Outcome<Value> | undefined;
  #taken = false;

  constructor(promise: Promise<Value>) {
    promise.then(
      (val) => this.#settle({ tag: "ok", val }),
      (error: unknown) => this.#settle({ tag: "err", val: errorCodeOf(error) }),
    );
  }

  /** `option<result<result<value, error-code>>>`; the outer error says that it was taken. */
  take<Shown>(
    show: (value: Value) => Shown,
  ):
    | { readonly tag: "ok"; readonly val: Outcome<Shown> }
    | { readonly tag: "err"; readonly val: undefined }
    | undefined {
    const outcome = this.#outcome;
    if (outcome === undefined) return undefined;
    if (this.#taken) return { tag: "err", val: undefined };
    this.#taken = true;
    if (outcome.tag === "err") return { tag: "ok", val: outcome };
    return { tag: "ok", val: { tag: "ok", val: show(outcome.val) } };
  }

  ready(): boolean {
    return this.#outcome !== undefined;
  }

  watch(callback: () => void): () => void {
    return this.#signal.watch(callback);
  }

  #settle(outcome: Outcome<Value>): void {
    this.#outcome = outcome;
    this.#signal.notify();
  }
}

function errorCodeOf(error: unknown): ErrorCode {
  if (error instanceof HttpError) return error.code;
  return { tag: "internal-error", val: error instanceof Error ? error.message : String(error) };
}

/** The resource `future-trailers` of wasi:http/types. */
export class FutureTrailers extends Resource {
  readonly #value: FutureValue<HttpHeaders | undefined>;

  constructor(scope: InstanceScope, trailers: Promise<HttpHeaders | undefined>) {
    super(scope);
    this.#value = new FutureValue(trailers);
  }

  subscribe(): Pollable {
    return new Pollable(this.scope, this.#value, this);
  }

  get() {
    return this.#value.take((headers) =>
      headers === undefined
        ? undefined
        : new Fields(this.scope, visibleFields(headers), { immutable: true }),
    );
  }
}
