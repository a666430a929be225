import type { HttpHeaders } from "../preview-two.ts";
import { plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import type { BodyPipe } from "./body-pipe.ts";
import type { Fields } from "./fields.ts";
import { OutgoingMessage } from "./outgoing-message.ts";
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
  /** The length that the guest declared for the body. */
  readonly declaredLength: number | undefined;
  /** Undefined when the guest never asked for the body. */
  readonly body: BodyPipe | undefined;
}

/** The resource `outgoing-request` of wasi:http/types. */
export class OutgoingRequest extends OutgoingMessage {
  #method: Method = { tag: "get" };
  #scheme: Scheme | undefined;
  #authority: string | undefined;
  #pathWithQuery: string | undefined;

  constructor(scope: InstanceScope, headers: Fields) {
    super(scope, headers, "request");
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
    this.hold((text?.length ?? 0) - (this.#pathWithQuery?.length ?? 0));
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

  /** Takes it from the guest. */
  take(): RequestParts {
    this.surrender();
    this.released();
    return {
      method: methodName(this.#method) ?? "GET",
      scheme: this.#scheme,
      authority: this.#authority,
      pathWithQuery: this.#pathWithQuery,
      headers: this.fields,
      declaredLength: this.declaredLength,
      body: this.pipe,
    };
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
