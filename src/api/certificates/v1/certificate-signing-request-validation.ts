import {
  duplicateField,
  type FieldError,
  FieldPath,
  invalidField,
  notSupportedField,
  requiredField,
  validateDns1123Subdomain,
} from "../../../apimachinery/index.ts";
import { jsonEquals } from "../../../apimachinery/index.ts";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
  CertificateSigningRequestSpec,
} from "./types.ts";

const SPEC = FieldPath.root("spec");
const STATUS = FieldPath.root("status");
/** The same as Kubernetes': what is shorter is not worth its renewals. */
const MIN_SECONDS = 600;
const MAX_SIGNER_CHARACTERS = 571;
const PEM =
  /^-----BEGIN (NEW )?CERTIFICATE REQUEST-----\s[\w+/=\s]+-----END \1?CERTIFICATE REQUEST-----$/;
const LEGACY_SIGNER = "kubernetes.io/legacy-unknown";
/** Names of RFC 5280, as Kubernetes spells them. */
const USAGES = [
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
];

export function validateSigningRequest(request: CertificateSigningRequest): FieldError[] {
  const { spec, status } = request;
  return [...specErrors(spec), ...conditionErrors(status?.conditions ?? [])];
}

function specErrors(sent: CertificateSigningRequestSpec | undefined): FieldError[] {
  const errors: FieldError[] = [];
  // Clients may leave out what the type says is always there.
  const spec = { request: "", signerName: "", ...sent };
  const text = Buffer.from(spec.request, "base64").toString("utf8");
  if (!PEM.test(text.trim())) {
    const why = "PEM block type must be CERTIFICATE REQUEST";
    errors.push(invalidField(SPEC.child("request"), spec.request, why));
  }
  const usages = spec.usages ?? [];
  if (usages.length === 0) errors.push(requiredField(SPEC.child("usages")));
  for (const [index, usage] of usages.entries()) {
    const path = SPEC.child("usages").index(index);
    if (!USAGES.includes(usage)) errors.push(notSupportedField(path, usage, USAGES));
    else if (usages.indexOf(usage) < index) errors.push(duplicateField(path, usage));
  }
  errors.push(...signerErrors(spec.signerName));
  const { expirationSeconds: seconds } = spec;
  if (seconds !== undefined && seconds < MIN_SECONDS) {
    const why = "may not specify a duration less than 600 seconds (10 minutes)";
    errors.push(invalidField(SPEC.child("expirationSeconds"), seconds, why));
  }
  return errors;
}

/** "example.com/my-signer" */
function signerErrors(name: string): FieldError[] {
  const path = SPEC.child("signerName");
  if (name === "") return [requiredField(path)];
  const [domain = "", rest = "", ...more] = name.split("/");
  if (rest === "" || more.length > 0 || name.length > MAX_SIGNER_CHARACTERS) {
    const why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalidField(path, name, why)];
  }
  if (name === LEGACY_SIGNER) {
    return [invalidField(path, name, "the legacy signerName is not allowed via this API version")];
  }
  return [domain, rest]
    .flatMap((part) => validateDns1123Subdomain(part))
    .map((why) => invalidField(path, name, why));
}

function conditionErrors(conditions: readonly CertificateSigningRequestCondition[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { type, status }] of conditions.entries()) {
    const path = STATUS.child("conditions").index(index);
    if (type === "") errors.push(requiredField(path.child("type")));
    else if (seen.has(type)) errors.push(duplicateField(path.child("type"), type));
    seen.add(type);
    const decides = type === "Approved" || type === "Denied" || type === "Failed";
    const allowed = decides ? ["True"] : ["True", "False", "Unknown"];
    if (!allowed.includes(status)) {
      errors.push(notSupportedField(path.child("status"), status, allowed));
    }
  }
  if (seen.has("Approved") && seen.has("Denied")) {
    const why = "Approved and Denied conditions are mutually exclusive";
    errors.push(invalidField(STATUS.child("conditions"), [...seen], why));
  }
  return errors;
}

/** What was decided stays decided, and a certificate that was issued is not replaced. */
export function validateSigningRequestUpdate(
  next: CertificateSigningRequest,
  old: CertificateSigningRequest,
): FieldError[] {
  const errors: FieldError[] = [];
  const find = (request: CertificateSigningRequest, type: string) =>
    (request.status?.conditions ?? []).find((condition) => condition.type === type);
  for (const type of ["Approved", "Denied", "Failed"]) {
    const [before, after] = [find(old, type), find(next, type)];
    if (before !== undefined && after === undefined) {
      const why = `updates may not remove a condition of type "${type}"`;
      errors.push(invalidField(STATUS.child("conditions"), next.status?.conditions ?? [], why));
    }
  }
  const certificate = old.status?.certificate ?? "";
  if (certificate !== "" && !jsonEquals(certificate, next.status?.certificate)) {
    const why = "updates may not change an issued certificate";
    errors.push(invalidField(STATUS.child("certificate"), next.status?.certificate ?? "", why));
  }
  return errors;
}
