import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from "../../api/index.ts";
import { parseRfc3339 } from "../../apimachinery/index.ts";

/** The one signer that is served: certificates by which people and programs come to the API. */
export const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";

const HOUR_MS = 60 * 60 * 1000;
/** How long a request is kept for its sender to look at. */
const KEPT_DECIDED_MS = HOUR_MS;
const KEPT_PENDING_MS = 24 * HOUR_MS;
const DAY_MS = 24 * HOUR_MS;
const DEFAULT_LIFETIME_MS = 365 * DAY_MS;
const ALLOWED_USAGES: ReadonlySet<string> = new Set([
  "client auth",
  "digital signature",
  "key encipherment",
]);

export type RequestAction =
  | { readonly type: "sign"; readonly request: string; readonly lifetimeMs: number }
  | { readonly type: "fail"; readonly reason: string; readonly message: string }
  | { readonly type: "delete" }
  | { readonly type: "wait"; readonly untilMs: number };

/** What is to be done about a request for a certificate now. */
export function planRequest(
  request: CertificateSigningRequest,
  options: { readonly nowMs: number; readonly maxLifetimeMs?: number | undefined },
): RequestAction {
  const { metadata, spec, status } = request;
  const { nowMs, maxLifetimeMs = DEFAULT_LIFETIME_MS } = options;
  const conditions = status?.conditions ?? [];
  const approved = find(conditions, "Approved");
  const denied = find(conditions, "Denied");
  const failed = find(conditions, "Failed");
  const issued = (status?.certificate ?? "") !== "";
  const mine = spec.signerName === CLIENT_SIGNER;
  if (mine && approved !== undefined && denied === undefined && failed === undefined && !issued) {
    const problem = usageProblem(spec.usages ?? []);
    if (problem !== undefined) {
      return { type: "fail", reason: "SignerValidationFailure", message: problem };
    }
    const wantedMs = (spec.expirationSeconds ?? Number.POSITIVE_INFINITY) * 1000;
    const pem = Buffer.from(spec.request, "base64").toString("utf8");
    return { type: "sign", request: pem, lifetimeMs: Math.min(wantedMs, maxLifetimeMs) };
  }
  const decided = denied ?? failed ?? (issued ? approved : undefined);
  const since =
    decided === undefined
      ? parseRfc3339(metadata.creationTimestamp ?? "") + KEPT_PENDING_MS
      : parseRfc3339(decided.lastUpdateTime ?? metadata.creationTimestamp ?? "") + KEPT_DECIDED_MS;
  return nowMs >= since ? { type: "delete" } : { type: "wait", untilMs: since };
}

function find(
  conditions: readonly CertificateSigningRequestCondition[],
  type: string,
): CertificateSigningRequestCondition | undefined {
  return conditions.find((condition) => condition.type === type);
}

function usageProblem(usages: readonly string[]): string | undefined {
  const other = usages.find((usage) => !ALLOWED_USAGES.has(usage));
  if (other !== undefined) return `usage ${JSON.stringify(other)} is not allowed by this signer`;
  return usages.includes("client auth") ? undefined : `usage "client auth" is missing`;
}
