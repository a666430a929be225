import { RuntimeError, type RuntimeErrorCode } from "../../runtime.ts";

/** The status codes of gRPC that we tell apart. */
const CANCELLED = 1;
export const UNKNOWN = 2;
export const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;
const UNAVAILABLE = 14;

/** A call of the CRI that failed. */
export class CriError extends Error {
  override readonly name = "CriError";
  readonly method: string;
  readonly status: number;
  readonly details: string;

  constructor(method: string, status: number, details: string) {
    super(`${method}: ${details}`);
    this.method = method;
    this.status = status;
    this.details = details;
  }

  get isNotFound(): boolean {
    return this.status === NOT_FOUND;
  }

  /** Nobody listens, or the connection ended within the call. */
  get isUnavailable(): boolean {
    return this.status === UNAVAILABLE;
  }

  get isUnimplemented(): boolean {
    return this.status === UNIMPLEMENTED;
  }

  get isCancelled(): boolean {
    return this.status === CANCELLED;
  }
}

/** What a failure of a call means to the kubelet; `otherwise` is what gRPC leaves open. */
export function asRuntimeError(error: unknown, otherwise: RuntimeErrorCode): unknown {
  if (!(error instanceof CriError)) return error;
  return new RuntimeError(codeOf(error, otherwise), error.details, { cause: error });
}

function codeOf(error: CriError, otherwise: RuntimeErrorCode): RuntimeErrorCode {
  switch (error.status) {
    case NOT_FOUND:
      return "not-found";
    case DEADLINE_EXCEEDED:
      return "deadline";
    case UNIMPLEMENTED:
      return "unsupported";
    default:
      return otherwise;
  }
}

const PULL_FAILURES: readonly (readonly [RegExp, RuntimeErrorCode])[] = [
  [/invalid reference|parse image name|repository name must/i, "image-invalid-reference"],
  [
    /\b401\b|\b403\b|unauthorized|forbidden|authorization failed|authenticat/i,
    "image-unauthorized",
  ],
  [/not found|does not exist|pull access denied/i, "image-not-found"],
  [/digest|unexpected (commit )?size|invalid tar|archive\/tar|gzip|corrupt/i, "image-damaged"],
  [/no match for platform|unsupported (media|layer)|unknown media|unhandled/i, "image-unsupported"],
];

/** Why a pull failed. The registry's answer is told in words only, so they decide. */
export function asPullError(error: unknown): unknown {
  if (!(error instanceof CriError)) return error;
  const words = PULL_FAILURES.find(([pattern]) => pattern.test(error.details));
  const code = words?.[1] ?? codeOf(error, "image-unreachable");
  const kind = code === "not-found" ? "image-not-found" : code;
  return new RuntimeError(kind, error.details, { cause: error });
}
