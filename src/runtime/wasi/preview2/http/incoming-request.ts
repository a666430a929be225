import type { HttpHeaders, IncomingHttp } from "../preview-two.ts";
import { plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { emptySource } from "../io/input-stream.ts";
import { Resource } from "../io/resource.ts";
import { Fields, visibleFields } from "./fields.ts";
import { IncomingBody, type BodySource } from "./incoming-body.ts";
import { methodOf, type Method, type Scheme } from "./request-target.ts";

/** The resource `incoming-request` of wasi:http/types. */
export class IncomingRequest extends Resource {
  readonly #request: IncomingHttp;
  #consumed = false;

  constructor(scope: InstanceScope, request: IncomingHttp) {
    super(scope);
    this.#request = request;
  }

  method(): Method {
    return methodOf(this.#request.method);
  }

  pathWithQuery(): string {
    return this.#request.pathWithQuery;
  }

  scheme(): Scheme {
    return { tag: this.#request.scheme === "https" ? "HTTPS" : "HTTP" };
  }

  authority(): string | undefined {
    return this.#request.authority;
  }

  headers(): Fields {
    const headers = visibleFields(this.#request.headers);
    return new Fields(this.scope, headers, { immutable: true, parent: this });
  }

  consume(): IncomingBody {
    if (this.#consumed) throw plainFailure();
    const body = new IncomingBody(this.scope, requestBody(this.#request));
    this.#consumed = true;
    return body;
  }
}

function requestBody({ body, trailers }: IncomingHttp): BodySource {
  const none: Promise<HttpHeaders | undefined> = Promise.resolve(undefined);
  if (body === undefined) return { bytes: emptySource, trailers: none, complete: () => true };
  return { bytes: body, trailers: trailers ?? none, complete: () => false };
}
