import type { Status } from "../api/index.ts";

/** An answer of the API server that is not a success, with the Status it carried. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: Status;
  /** What the server asked for in `Retry-After`, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: Status, retryAfterSeconds?: number) {
    super(status.message ?? `the server answered ${status.code ?? "without a code"}`);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds ?? status.details?.retryAfterSeconds;
  }

  /** The HTTP status code. */
  get code(): number {
    return this.status.code ?? 500;
  }

  /** Kubernetes' machine-readable reason: `NotFound`, `Conflict`, `AlreadyExists`, … */
  get reason(): string {
    return this.status.reason ?? "";
  }
}

const MAX_ERROR_TEXT = 1024;

/** Reads the Status out of a failed response; makes one up when the body holds none. */
export async function apiErrorFrom(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const text = await response.text();
  const status = parseStatus(text) ?? {
    apiVersion: "v1",
    kind: "Status",
    status: "Failure",
    reason: "",
    message: text.slice(0, MAX_ERROR_TEXT) || `the server answered ${response.status}`,
  };
  return new ApiError(
    { ...status, code: status.code ?? response.status },
    Number.isFinite(retryAfter) ? retryAfter : undefined,
  );
}

function parseStatus(text: string): Status | undefined {
  try {
    const body: unknown = JSON.parse(text);
    const isStatus =
      typeof body === "object" && body !== null && "kind" in body && body.kind === "Status";
    return isStatus ? (body as Status) : undefined;
  } catch {
    return undefined; // A proxy's page or plain text: the caller quotes it.
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404;
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiError && error.reason === "AlreadyExists";
}

export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.reason === "Conflict";
}

/** 410: the revision asked for is compacted; list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && error.code === 410;
}

/** The namespace is going away and takes nothing new. */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    error.code === 403 &&
    (error.status.details?.causes ?? []).some((cause) => cause.reason === "NamespaceTerminating")
  );
}
