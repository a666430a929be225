/** A size that was exceeded, of a header or trailer that has a name. */
export interface FieldSize {
  readonly fieldName?: string | undefined;
  readonly fieldSize?: number | undefined;
}

/** `error-code` of wasi:http/types, as generated code hands it over. */
export type ErrorCode =
  | { readonly tag: PlainErrorCode }
  | {
      readonly tag: "DNS-error";
      readonly val: { readonly rcode?: string | undefined; readonly infoCode?: number | undefined };
    }
  | {
      readonly tag: "TLS-alert-received";
      readonly val: {
        readonly alertId?: number | undefined;
        readonly alertMessage?: string | undefined;
      };
    }
  | { readonly tag: "HTTP-request-body-size" | "HTTP-response-body-size"; readonly val?: bigint }
  | {
      readonly tag:
        | "HTTP-request-header-section-size"
        | "HTTP-request-trailer-section-size"
        | "HTTP-response-header-section-size"
        | "HTTP-response-trailer-section-size";
      readonly val?: number;
    }
  | {
      readonly tag: "HTTP-request-header-size";
      readonly val?: FieldSize;
    }
  | {
      readonly tag:
        | "HTTP-request-trailer-size"
        | "HTTP-response-header-size"
        | "HTTP-response-trailer-size";
      readonly val: FieldSize;
    }
  | {
      readonly tag:
        | "HTTP-response-transfer-coding"
        | "HTTP-response-content-coding"
        | "internal-error";
      readonly val?: string;
    };

/** The codes that carry nothing. */
export const PLAIN_ERROR_CODES = [
  "DNS-timeout",
  "destination-not-found",
  "destination-unavailable",
  "destination-IP-prohibited",
  "destination-IP-unroutable",
  "connection-refused",
  "connection-terminated",
  "connection-timeout",
  "connection-read-timeout",
  "connection-write-timeout",
  "connection-limit-reached",
  "TLS-protocol-error",
  "TLS-certificate-error",
  "HTTP-request-denied",
  "HTTP-request-length-required",
  "HTTP-request-method-invalid",
  "HTTP-request-URI-invalid",
  "HTTP-request-URI-too-long",
  "HTTP-response-incomplete",
  "HTTP-response-timeout",
  "HTTP-upgrade-failed",
  "HTTP-protocol-error",
  "loop-detected",
  "configuration-error",
] as const;
export type PlainErrorCode = (typeof PLAIN_ERROR_CODES)[number];

/** An HTTP exchange that failed with an error code of wasi:http. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, options?: ErrorOptions) {
    super(describe(code), options);
    this.code = code;
  }
}

function describe(code: ErrorCode): string {
  const detail =
    "val" in code ? JSON.stringify(code.val, (_key, value) => plain(value)) : undefined;
  return detail === undefined ? code.tag : `${code.tag}: ${detail}`;
}

function plain(value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
