import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from "../../api/index.ts";
import { forbidden, rfc3339, type StatusError } from "../../apimachinery/index.ts";
import type { Authorizer } from "../authorizer.ts";
import type { User } from "../user.ts";
import type { Admitted } from "./admitted.ts";

const GROUP = "certificates.k8s.io";
const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";
const ADMINISTRATORS = "system:masters";
/** What decides about a request; only those who may approve write it. */
const DECISIONS: ReadonlySet<string> = new Set(["Approved", "Denied"]);

export interface CertificateAdmission {
  readonly user: User;
  readonly access: Authorizer;
  readonly nowMs: number;
  /** The organizations that a request names; undefined when it is no request. */
  readonly organizationsOf: (pem: string) => readonly string[] | undefined;
}

/**
 * A request for a certificate says who sent it, whatever he claims. Its approval and its issue are
 * for those who have the signer's verbs `approve` and `sign`. Changes `next`. Throws 403.
 */
export function admitCertificateRequest(request: Admitted, how: CertificateAdmission): void {
  const next = request.next as CertificateSigningRequest | undefined;
  if (next === undefined) return;
  if (request.verb === "create") {
    signSender(next, how.user);
    refuseAdministrators(request, next, how);
    return;
  }
  const old = request.old as CertificateSigningRequest;
  const { signerName } = old.spec;
  switch (request.subresource) {
    case "approval":
      assertMay("approve", signerName, request, how);
      next.status = { ...old.status, conditions: next.status?.conditions ?? [] };
      break;
    case "status": {
      const { certificate } = next.status ?? {};
      if (certificate !== old.status?.certificate) assertMay("sign", signerName, request, how);
      const decided = (old.status?.conditions ?? []).filter(({ type }) => DECISIONS.has(type));
      const others = (next.status?.conditions ?? []).filter(({ type }) => !DECISIONS.has(type));
      next.status = { ...next.status, conditions: [...decided, ...others] };
      break;
    }
    default:
      return;
  }
  next.status.conditions = stamped(next, old, how.nowMs);
}

function signSender({ spec }: CertificateSigningRequest, user: User): void {
  // Without a spec validation says what is missing.
  if ((spec as unknown) === undefined) return;
  spec.username = user.name;
  delete spec.uid;
  delete spec.extra;
  if (user.uid !== undefined) spec.uid = user.uid;
  spec.groups = [...user.groups];
  if (user.extra !== undefined) {
    spec.extra = Object.fromEntries(
      Object.entries(user.extra).map(([key, all]) => [key, [...all]]),
    );
  }
}

/** No certificate makes an administrator whom no role can hold back. */
function refuseAdministrators(
  request: Admitted,
  { spec }: CertificateSigningRequest,
  { organizationsOf }: CertificateAdmission,
): void {
  if ((spec as unknown) === undefined || spec.signerName !== CLIENT_SIGNER) return;
  const pem = Buffer.from(spec.request, "base64").toString("utf8");
  if (organizationsOf(pem)?.includes(ADMINISTRATORS) !== true) return;
  throw refuse(
    request,
    `use of ${CLIENT_SIGNER} signer with ${ADMINISTRATORS} group is not allowed`,
  );
}

function assertMay(
  verb: "approve" | "sign",
  signerName: string,
  request: Admitted,
  { user, access }: CertificateAdmission,
): void {
  const [domain = ""] = signerName.split("/");
  const allowed = [signerName, `${domain}/*`].some((name) => {
    const about = { group: GROUP, version: "*", resource: "signers", subresource: "" };
    return access.decide(user, { type: "resource", verb, ...about, namespace: "", name }).allowed;
  });
  if (allowed) return;
  const what = verb === "approve" ? "approve requests" : "sign requests";
  throw refuse(request, `user not permitted to ${what} with signerName "${signerName}"`);
}

/** Conditions with the times that their writers left out. */
function stamped(
  { status }: CertificateSigningRequest,
  old: CertificateSigningRequest,
  nowMs: number,
): CertificateSigningRequestCondition[] {
  const now = rfc3339(nowMs);
  return (status?.conditions ?? []).map((condition) => {
    const before = (old.status?.conditions ?? []).find(({ type }) => type === condition.type);
    const kept = before?.status === condition.status ? before.lastTransitionTime : undefined;
    return {
      ...condition,
      lastUpdateTime: condition.lastUpdateTime ?? now,
      lastTransitionTime: condition.lastTransitionTime ?? kept ?? now,
    };
  });
}

function refuse({ definition, name }: Admitted, why: string): StatusError {
  return forbidden(definition, name, why);
}
