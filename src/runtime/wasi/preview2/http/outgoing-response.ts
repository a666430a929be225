import type { OutgoingHttp } from "../preview-two.ts";
import { GuestError, plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import { bodyAtHand } from "./body-pipe.ts";
import type { Fields } from "./fields.ts";
import { HttpError, type ErrorCode } from "./http-error.ts";
import { OutgoingMessage } from "./outgoing-message.ts";

const MIN_STATUS = 100;
const MAX_STATUS = 999;
const NOTHING = new Uint8Array();

/** The resource `outgoing-response` of wasi:http/types. */
export class OutgoingResponse extends OutgoingMessage {
  #status = 200;

  constructor(scope: InstanceScope, headers: Fields) {
    super(scope, headers, "response");
  }

  statusCode(): number {
    return this.#status;
  }

  setStatusCode(status: number): void {
    if (status < MIN_STATUS || status > MAX_STATUS) throw plainFailure();
    this.#status = status;
  }

  /** Takes it from the guest; resolves when it is known whether the body is short. */
  async deliver(): Promise<OutgoingHttp> {
    this.surrender();
    this.released();
    const { declaredLength, fields: headers, pipe } = this;
    const head = { status: this.#status, headers, declaredLength };
    if (pipe === undefined) return { ...head, body: NOTHING };
    if (pipe.ended === undefined && !pipe.full) await bodyAtHand(pipe, this.scope.clock);
    const end = pipe.ended;
    if (end?.kind === "broken") throw end.reason;
    if (end === undefined) return { ...head, body: pipe };
    return { ...head, body: pipe.take() ?? NOTHING, trailers: end.trailers };
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
