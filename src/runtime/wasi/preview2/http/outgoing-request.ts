import type { HttpHeaders } from "../preview-two.ts";
import { plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import type { BodyPipe } from "./body-pipe.ts";
import { Fields, heldBytesOf } from "./fields.ts";
import { declaredLength, OutgoingBody } from "./outgoing-body.ts";
import {
  isPathWithQuery,
  isScheme,
  methodName,
  parseAuthority,
  type Method,
  type Scheme,
} from "./request-target.ts";

/** A request as the guest made it. */
export interface RequestParts {
  readonly method: string;
  readonly scheme: Scheme | undefined;
  readonly authority: string | undefined;
  readonly pathWithQuery: string | undefined;
  readonly headers: HttpHeaders;
  /** Undefined when the guest never asked for the body. */
  readonly body: BodyPipe | undefined;
}

/** The resource `outgoing-request` of wasi:http/types. */
export class OutgoingRequest extends Resource {
  readonly #headers: HttpHeaders;
  #heldBytes: number;
  #method: Method = { tag: "get" };
  #scheme: Scheme | undefined;
  #authority: string | undefined;
  #pathWithQuery: string | undefined;
  #pipe: BodyPipe | undefined;

  /** Takes the headers: they cannot be changed any more. */
  constructor(scope: InstanceScope, headers: Fields) {
    super(scope);
    this.#headers = headers.take();
    this.#heldBytes = heldBytesOf(this.#headers);
    scope.hold(this.#heldBytes);
  }

  body(): OutgoingBody {
    if (this.#pipe !== undefined) throw plainFailure();
    const declared = declaredLength(this.#headers);
    const body = new OutgoingBody(this.scope, { kind: "request", declared });
    this.#pipe = body.pipe;
    return body;
  }

  method(): Method {
    return this.#method;
  }

  setMethod(method: Method): void {
    if (methodName(method) === undefined) throw plainFailure();
    this.#method = method;
  }

  pathWithQuery(): string | undefined {
    return this.#pathWithQuery;
  }

  setPathWithQuery(text: string | undefined): void {
    if (text !== undefined && !isPathWithQuery(text)) throw plainFailure();
    const longer = (text?.length ?? 0) - (this.#pathWithQuery?.length ?? 0);
    this.scope.hold(longer);
    this.#heldBytes += longer;
    this.#pathWithQuery = text;
  }

  scheme(): Scheme | undefined {
    return this.#scheme;
  }

  setScheme(scheme: Scheme | undefined): void {
    if (scheme !== undefined && !isScheme(scheme)) throw plainFailure();
    this.#scheme = scheme;
  }

  authority(): string | undefined {
    return this.#authority;
  }

  setAuthority(text: string | undefined): void {
    if (text !== undefined && parseAuthority(text) === undefined) throw plainFailure();
    this.#authority = text;
  }

  headers(): Fields {
    return new Fields(this.scope, this.#headers, { immutable: true, parent: this });
  }

  /** Takes it from the guest. */
  take(): RequestParts {
    this.surrender();
    this.released();
    return {
      method: methodName(this.#method) ?? "GET",
      scheme: this.#scheme,
      authority: this.#authority,
      pathWithQuery: this.#pathWithQuery,
      headers: this.#headers,
      body: this.#pipe,
    };
  }

  protected override released(): void {
    this.scope.letGo(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

/** The resource `request-options` of wasi:http/types; durations are nanoseconds. */
export class RequestOptions extends Resource {
  #connect: bigint | undefined;
  #firstByte: bigint | undefined;
  #betweenBytes: bigint | undefined;

  connectTimeout(): bigint | undefined {
    return this.#connect;
  }

  setConnectTimeout(duration: bigint | undefined): void {
    this.#connect = duration;
  }

  firstByteTimeout(): bigint | undefined {
    return this.#firstByte;
  }

  setFirstByteTimeout(duration: bigint | undefined): void {
    this.#firstByte = duration;
  }

  betweenBytesTimeout(): bigint | undefined {
    return this.#betweenBytes;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): void {
    this.#betweenBytes = duration;
  }
}
