import { StatusError } from "../apimachinery/index.ts";
import type { StatusReason } from "../apimachinery/index.ts";
import { MembershipError, StoreError } from "../store/index.ts";

export interface RefusalOptions {
  /** When to come again; without it coming again does not help. */
  readonly retryAfterSeconds?: number;
}

/** An answer that refuses, as every API of the cluster gives it: a metav1.Status. */
export function refusal(
  code: number,
  reason: StatusReason,
  message: string,
  { retryAfterSeconds }: RefusalOptions = {},
): StatusError {
  return new StatusError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } }),
    code,
  });
}

const SOON_SECONDS = 1;

export function noLeader(): StatusError {
  return refusal(503, "ServiceUnavailable", "no server leads the cluster now: try again", {
    retryAfterSeconds: SOON_SECONDS,
  });
}

/** What other rooms refuse, as an answer; undefined when the error is a defect. */
export function refusalOfError(error: unknown): StatusError | undefined {
  // The group's own reasons: a learner that lags, a removed id, the last voter.
  if (error instanceof MembershipError) return refusal(409, "Conflict", error.message);
  // Its room is loaded only when a certificate is issued.
  if (error instanceof Error && error.name === "CertificateRequestError") {
    return refusal(400, "BadRequest", error.message);
  }
  if (!(error instanceof StoreError)) return undefined;
  switch (error.code) {
    case "not-leader":
    case "overloaded":
      return noLeader();
    case "unavailable":
      return refusal(504, "Timeout", `whether it was done is unknown: ${error.message}`, {
        retryAfterSeconds: SOON_SECONDS,
      });
    case "read-only":
    case "closed":
      return refusal(503, "ServiceUnavailable", error.message, { retryAfterSeconds: SOON_SECONDS });
    case "key-exists":
    case "key-missing":
    case "revision-mismatch":
      return refusal(409, "Conflict", error.message);
    case "compacted":
    case "future-revision":
    case "slow-watcher":
    case "too-large":
    case "lease-missing":
      return refusal(400, "BadRequest", error.message);
  }
}

export function answerRefusal(error: StatusError): Response {
  const seconds = error.status.details?.retryAfterSeconds;
  return Response.json(error.status, {
    status: error.code,
    headers: seconds === undefined ? {} : { "retry-after": String(seconds) },
  });
}
