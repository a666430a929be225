import { PLAIN_ERROR_CODES, type ErrorCode } from "./http-error.ts";

const PLAIN = new Map(PLAIN_ERROR_CODES.map((tag) => [tag.toLowerCase(), { tag }] as const));

/** Codes that carry something; the egress says only their name. */
const WITH_PAYLOAD: Readonly<Record<string, ErrorCode>> = {
  "dns-error": { tag: "DNS-error", val: {} },
  "tls-alert-received": { tag: "TLS-alert-received", val: {} },
  "http-request-body-size": { tag: "HTTP-request-body-size" },
  "http-request-header-section-size": { tag: "HTTP-request-header-section-size" },
  "http-request-header-size": { tag: "HTTP-request-header-size" },
  "http-response-header-section-size": { tag: "HTTP-response-header-section-size" },
  "http-response-header-size": { tag: "HTTP-response-header-size", val: {} },
  "http-response-body-size": { tag: "HTTP-response-body-size" },
  "http-response-transfer-coding": { tag: "HTTP-response-transfer-coding" },
};

/** The error code that the egress names in `x-kubun-egress-error`. */
export function egressErrorCode(name: string): ErrorCode {
  const lower = name.trim().toLowerCase();
  return (
    PLAIN.get(lower) ?? WITH_PAYLOAD[lower] ?? { tag: "internal-error", val: `egress: ${lower}` }
  );
}
