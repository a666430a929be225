import { ImageError, type ImageErrorCode } from "../image-error.ts";
import { MissingContentError } from "../local-registry.ts";

/** Error codes of the OCI distribution specification, section "Error Codes". */
export type DistributionErrorCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DENIED"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIZE_INVALID"
  | "TOOMANYREQUESTS"
  | "UNAUTHORIZED"
  | "UNSUPPORTED";

/** Becomes an answer in the specification's JSON form. */
export class DistributionError extends Error {
  override readonly name = "DistributionError";
  readonly code: DistributionErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: DistributionErrorCode,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  toResponse(): Response {
    const body = { errors: [{ code: this.code, message: this.message, detail: {} }] };
    return Response.json(body, { status: this.status, headers: this.headers });
  }
}

const FOR_IMAGE_ERROR: Readonly<
  Partial<Record<ImageErrorCode, readonly [number, DistributionErrorCode]>>
> = {
  "digest-mismatch": [400, "DIGEST_INVALID"],
  "not-found": [404, "BLOB_UNKNOWN"],
  "too-large": [413, "SIZE_INVALID"],
  cancelled: [404, "BLOB_UPLOAD_UNKNOWN"],
  overloaded: [429, "TOOMANYREQUESTS"],
  unsupported: [400, "MANIFEST_INVALID"],
};

/** The answer to an error of any room; undefined when it is not one a client can mend. */
export function distributionErrorFrom(error: unknown): DistributionError | undefined {
  if (error instanceof DistributionError) return error;
  if (error instanceof MissingContentError) {
    return new DistributionError(404, "MANIFEST_BLOB_UNKNOWN", error.message);
  }
  if (!(error instanceof ImageError)) return undefined;
  const known = FOR_IMAGE_ERROR[error.code];
  return known && new DistributionError(known[0], known[1], error.message);
}
