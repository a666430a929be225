import type { HttpHeaders } from "../preview-two.ts";
import { plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Pollable } from "../io/pollable.ts";
import { Resource } from "../io/resource.ts";
import { Fields, visibleFields } from "./fields.ts";
import { FutureValue, IncomingBody, type BodySource } from "./incoming-body.ts";

/** A response as it came, its body still on its way. */
export interface ReceivedResponse {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly body: BodySource;
}

/** A response that is on its way; aborting ends what stands behind it. */
export interface PendingResponse {
  readonly response: Promise<ReceivedResponse>;
  abort(): void;
}

/** The resource `incoming-response` of wasi:http/types. */
export class IncomingResponse extends Resource {
  readonly #response: ReceivedResponse;
  #consumed = false;

  constructor(scope: InstanceScope, response: ReceivedResponse) {
    super(scope);
    this.#response = response;
  }

  status(): number {
    return this.#response.status;
  }

  headers(): Fields {
    const headers = visibleFields(this.#response.headers);
    return new Fields(this.scope, headers, { immutable: true, parent: this });
  }

  consume(): IncomingBody {
    if (this.#consumed) throw plainFailure();
    const body = new IncomingBody(this.scope, this.#response.body);
    this.#consumed = true;
    return body;
  }

  protected override released(): void {
    if (!this.#consumed) this.#response.body.bytes.close();
  }
}

/** The resource `future-incoming-response` of wasi:http/types. */
export class FutureIncomingResponse extends Resource {
  readonly #pending: PendingResponse;
  readonly #value: FutureValue<ReceivedResponse>;
  #taken = false;

  constructor(scope: InstanceScope, pending: PendingResponse) {
    super(scope);
    this.#pending = pending;
    this.#value = new FutureValue(pending.response);
  }

  subscribe(): Pollable {
    return new Pollable(this.scope, this.#value, this);
  }

  get() {
    return this.#value.take((response) => {
      this.#taken = true;
      return new IncomingResponse(this.scope, response);
    });
  }

  protected override released(): void {
    if (!this.#taken) this.#pending.abort();
  }
}
