/**
 * What went wrong with a request of a pod, by the names of wasi:http's error-code (in kebab case),
 * which is what the pod's worker makes of it.
 */
export type EgressErrorCode =
  | "dns-error"
  | "dns-timeout"
  | "destination-unavailable"
  | "destination-ip-prohibited"
  | "connection-refused"
  | "connection-terminated"
  | "connection-timeout"
  | "connection-limit-reached"
  | "tls-protocol-error"
  | "tls-certificate-error"
  | "http-request-denied"
  | "http-request-header-section-size"
  | "http-response-header-section-size"
  | "http-response-timeout"
  | "http-protocol-error"
  | "internal-error";
