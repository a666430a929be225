import type { OutgoingHttp } from "../preview-two.ts";
import { GuestError, plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import { bodyAtHand, type BodyPipe } from "./body-pipe.ts";
import { Fields, heldBytesOf } from "./fields.ts";
import { HttpError, type ErrorCode } from "./http-error.ts";
import { declaredLength, OutgoingBody } from "./outgoing-body.ts";

const MIN_STATUS = 100;
const MAX_STATUS = 999;
const NOTHING = new Uint8Array();

/** The resource `outgoing-response` of wasi:http/types. */
export class OutgoingResponse extends Resource {
  readonly #headers: Fields["list"];
  #heldBytes: number;
  #status = 200;
  #pipe: BodyPipe | undefined;

  /** Takes the headers: they cannot be changed any more. */
  constructor(scope: InstanceScope, headers: Fields) {
    super(scope);
    this.#headers = headers.take();
    this.#heldBytes = heldBytesOf(this.#headers);
    scope.hold(this.#heldBytes);
  }

  statusCode(): number {
    return this.#status;
  }

  setStatusCode(status: number): void {
    if (status < MIN_STATUS || status > MAX_STATUS) throw plainFailure();
    this.#status = status;
  }

  headers(): Fields {
    return new Fields(this.scope, this.#headers, { immutable: true, parent: this });
  }

  body(): OutgoingBody {
    if (this.#pipe !== undefined) throw plainFailure();
    const declared = declaredLength(this.#headers);
    const body = new OutgoingBody(this.scope, { kind: "response", declared });
    this.#pipe = body.pipe;
    return body;
  }

  /** Takes it from the guest; resolves when it is known whether the body is short. */
  async deliver(): Promise<OutgoingHttp> {
    this.surrender();
    this.released();
    const headers = this.#headers;
    const head = { status: this.#status, headers, declaredLength: declaredLength(headers) };
    const pipe = this.#pipe;
    if (pipe === undefined) return { ...head, body: NOTHING };
    if (pipe.ended === undefined && !pipe.full) await bodyAtHand(pipe, this.scope.clock);
    const end = pipe.ended;
    if (end?.kind === "broken") throw end.reason;
    if (end === undefined) return { ...head, body: pipe };
    return { ...head, body: pipe.take() ?? NOTHING, trailers: end.trailers };
  }

  protected override released(): void {
    this.scope.letGo(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

/** What comes of a request: settled once, by the guest or by the end of its instance. */
export interface ResponsePromise {
  resolve(response: OutgoingHttp | Promise<OutgoingHttp>): void;
  reject(reason: Error): void;
}

/** The resource `response-outparam` of wasi:http/types. */
export class ResponseOutparam extends Resource {
  readonly #promise: ResponsePromise;

  constructor(scope: InstanceScope, promise: ResponsePromise) {
    super(scope);
    this.#promise = promise;
  }

  /** `set`: the guest's answer, or why there is none. */
  static set(
    param: ResponseOutparam,
    response:
      | { readonly tag: "ok"; readonly val: OutgoingResponse }
      | { readonly tag: "err"; readonly val: ErrorCode },
  ): void {
    param.surrender();
    if (response.tag === "ok") param.#promise.resolve(response.val.deliver());
    else param.#promise.reject(new HttpError(response.val));
  }

  /** There is no way to send a 1xx before the response. */
  sendInformational(_status: number, headers: Fields): never {
    headers.take();
    const why = "informational responses are not supported";
    throw new GuestError<ErrorCode>({ tag: "internal-error", val: why });
  }

  protected override released(): void {
    const reason = "the component ended without a response";
    this.#promise.reject(new HttpError({ tag: "internal-error", val: reason }));
  }
}
