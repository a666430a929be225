import type { ErrorCode as HttpErrorCode } from "../http/http-error.ts";
import type { InstanceScope } from "./instance-scope.ts";
import { Resource } from "./resource.ts";

/** Why a stream failed, in the words of the interface that the stream came from. */
export type FailureCode =
  | { readonly kind: "http"; readonly code: HttpErrorCode }
  | { readonly kind: "filesystem"; readonly code: string }
  | { readonly kind: "network"; readonly code: string }
  | { readonly kind: "other" };

/** Thrown by what stands behind a stream when an operation fails. */
export class IoFailure extends Error {
  override readonly name = "IoFailure";
  readonly failure: FailureCode;

  constructor(message: string, failure: FailureCode = { kind: "other" }) {
    super(message);
    this.failure = failure;
  }
}

/** The resource `error` of wasi:io/error. */
export class IoError extends Resource {
  readonly failure: FailureCode;
  readonly #message: string;

  constructor(scope: InstanceScope, cause: IoFailure) {
    super(scope);
    this.failure = cause.failure;
    this.#message = cause.message;
  }

  toDebugString(): string {
    return this.#message;
  }
}
