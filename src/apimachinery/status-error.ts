import { type FieldError, fieldErrorBody, fieldErrorText } from "./field-error.ts";
import {
  type GroupKind,
  groupKindText,
  type GroupResource,
  groupResourceText,
} from "./group-version.ts";
import type { Status, StatusCause, StatusDetails } from "./meta.ts";

/** `status.reason` of the answers of this API: the machine-readable half of an error. */
export type StatusReason =
  | "AlreadyExists"
  | "BadRequest"
  | "Conflict"
  | "Expired"
  | "Forbidden"
  | "Gone"
  | "InternalError"
  | "Invalid"
  | "MethodNotAllowed"
  | "NotAcceptable"
  | "NotFound"
  | "RequestEntityTooLarge"
  | "ServerTimeout"
  | "ServiceUnavailable"
  | "Timeout"
  | "TooManyRequests"
  | "Unauthorized"
  | "UnsupportedMediaType";

/** Why a write lost against another one: the text kubectl and client-go look for. */
export const MODIFIED_MESSAGE =
  "the object has been modified; please apply your changes to the latest version and try again";

/** An error that is an answer of the API: carries the metav1.Status to send. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly status: Status;

  constructor(status: Status) {
    super(status.message ?? "");
    this.status = status;
  }

  /** The HTTP status code. */
  get code(): number {
    return this.status.code ?? 500;
  }

  get reason(): string {
    return this.status.reason ?? "";
  }
}

export function isStatusError(error: unknown, reason?: StatusReason): error is StatusError {
  return error instanceof StatusError && (reason === undefined || error.reason === reason);
}

/** A Status that reports success, as deletions answer with. */
export function successStatus(details?: StatusDetails): Status {
  const status: Status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
  return details === undefined ? status : { ...status, details };
}

function failure(
  code: number,
  reason: StatusReason,
  message: string,
  details?: StatusDetails,
): StatusError {
  const status: Status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" };
  status.message = message;
  status.reason = reason;
  if (details !== undefined) status.details = details;
  status.code = code;
  return new StatusError(status);
}

/** Details name the resource under `kind`; empty parts stay out, as in Kubernetes' answers. */
function detailsOf(resource: GroupResource, name: string, more?: StatusDetails): StatusDetails {
  const details: StatusDetails = {};
  if (name !== "") details.name = name;
  if (resource.group !== "") details.group = resource.group;
  if (resource.resource !== "") details.kind = resource.resource;
  return Object.assign(details, more);
}

export function notFound(resource: GroupResource, name: string): StatusError {
  const message = `${groupResourceText(resource)} "${name}" not found`;
  return failure(404, "NotFound", message, detailsOf(resource, name));
}

export function alreadyExists(resource: GroupResource, name: string): StatusError {
  const message = `${groupResourceText(resource)} "${name}" already exists`;
  return failure(409, "AlreadyExists", message, detailsOf(resource, name));
}

/** Every generated name that was tried is taken; the client should ask again. */
export function generateNameConflict(
  resource: GroupResource,
  name: string,
  retryAfterSeconds = 1,
): StatusError {
  const message =
    `${groupResourceText(resource)} "${name}" already exists, ` +
    "the server was not able to generate a unique name for the object";
  const details = detailsOf(resource, name, { retryAfterSeconds });
  return failure(409, "AlreadyExists", message, details);
}

/** @param why defaults to the text for a stale resourceVersion */
export function conflict(
  resource: GroupResource,
  name: string,
  why: string = MODIFIED_MESSAGE,
): StatusError {
  const what = `${groupResourceText(resource)} "${name}"`;
  const message = `Operation cannot be fulfilled on ${what}: ${why}`;
  return failure(409, "Conflict", message, detailsOf(resource, name));
}

/** 409 of a server-side apply: one cause for each field that somebody else owns. */
export function applyConflict(causes: readonly StatusCause[], message: string): StatusError {
  return failure(409, "Conflict", message, { causes: [...causes] });
}

/** 422 with one cause a field error. */
export function invalid(kind: GroupKind, name: string, errors: readonly FieldError[]): StatusError {
  const causes = errors.map((error): StatusCause => ({
    reason: error.type,
    message: fieldErrorBody(error),
    field: error.field,
  }));
  const title = `${groupKindText(kind)} "${name}" is invalid`;
  const texts = [...new Set(errors.map(fieldErrorText))];
  const why = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const more: StatusDetails = causes.length === 0 ? {} : { causes };
  const details = detailsOf({ group: kind.group, resource: kind.kind }, name, more);
  return failure(422, "Invalid", texts.length === 0 ? title : `${title}: ${why}`, details);
}

export function badRequest(message: string): StatusError {
  return failure(400, "BadRequest", message);
}

export function unauthorized(message = "Unauthorized"): StatusError {
  return failure(401, "Unauthorized", message);
}

/** @param resource with an empty resource the message names none, as for paths */
export function forbidden(resource: GroupResource, name: string, why: string): StatusError {
  const named = name === "" ? "" : ` "${name}"`;
  const message =
    resource.resource === ""
      ? `forbidden: ${why}`
      : `${groupResourceText(resource)}${named} is forbidden: ${why}`;
  return failure(403, "Forbidden", message, detailsOf(resource, name));
}

export function notAcceptable(message: string): StatusError {
  return failure(406, "NotAcceptable", message);
}

export function unsupportedMediaType(message: string): StatusError {
  return failure(415, "UnsupportedMediaType", message);
}

/** 410: the resourceVersion or continue token is older than what the server keeps. */
export function expired(message: string): StatusError {
  return failure(410, "Expired", message);
}

/** 410: what was asked for will not come back. */
export function gone(message: string): StatusError {
  return failure(410, "Gone", message);
}

export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return failure(429, "TooManyRequests", message, { retryAfterSeconds });
}

export function requestEntityTooLarge(message: string): StatusError {
  const text = `Request entity is too large: ${message}`;
  return failure(413, "RequestEntityTooLarge", text);
}

/** The server is busy with the same thing: ask again in a moment. */
export function serverTimeout(
  resource: GroupResource,
  operation: string,
  retryAfterSeconds: number,
): StatusError {
  const message =
    `The ${operation} operation against ${groupResourceText(resource)} ` +
    "could not be completed at this time, please try again.";
  const details = detailsOf(resource, "", { retryAfterSeconds });
  return failure(500, "ServerTimeout", message, details);
}

export function timeout(message: string, retryAfterSeconds = 0): StatusError {
  const details: StatusDetails = retryAfterSeconds === 0 ? {} : { retryAfterSeconds };
  return failure(504, "Timeout", `Timeout: ${message}`, details);
}

export function internalError(error: unknown): StatusError {
  const message = error instanceof Error ? error.message : String(error);
  const details: StatusDetails = { causes: [{ message }] };
  return failure(500, "InternalError", `Internal error occurred: ${message}`, details);
}

export function serviceUnavailable(message: string): StatusError {
  return failure(503, "ServiceUnavailable", message);
}

/** 422 of a patch that cannot be used: not tied to a field. */
export function unprocessable(message: string): StatusError {
  return failure(422, "Invalid", message);
}
