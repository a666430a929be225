import { humanDuration } from "../../../apimachinery/index.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, NONE } from "../../table-columns.ts";
import {
  validateSigningRequest,
  validateSigningRequestUpdate,
} from "./certificate-signing-request-validation.ts";
import type { CertificateSigningRequest, CertificateSigningRequestSpec } from "./types.ts";

const certificateSigningRequests: KindLogic<CertificateSigningRequest> = {
  validate: validateSigningRequest,
  validateUpdate: validateSigningRequestUpdate,
  selectableFields: (request) => ({ "spec.signerName": specOf(request).signerName ?? "" }),
  columns: [
    NAME_COLUMN,
    AGE_COLUMN,
    column("SignerName", "Who is to sign.", (request) => specOf(request).signerName ?? ""),
    column("Requestor", "Who asks.", (request) => specOf(request).username ?? ""),
    column("RequestedDuration", "How long it should last.", durationText),
    column("Condition", "What was decided.", conditionText),
  ],
};

/** What was sent may lack its specification: that is for validation to say. */
function specOf({ spec }: CertificateSigningRequest): Partial<CertificateSigningRequestSpec> {
  const given: CertificateSigningRequestSpec | undefined = spec;
  return given ?? {};
}

function durationText(request: CertificateSigningRequest): string {
  const { expirationSeconds } = specOf(request);
  return expirationSeconds === undefined ? NONE : humanDuration(expirationSeconds * 1000);
}

function conditionText({ status }: CertificateSigningRequest): string {
  const types = (status?.conditions ?? []).map(({ type }) => type);
  const decided = ["Approved", "Denied"].find((type) => types.includes(type)) ?? "Pending";
  const failed = types.includes("Failed") ? ",Failed" : "";
  const issued = (status?.certificate ?? "") === "" ? "" : ",Issued";
  return `${decided}${failed}${issued}`;
}

export const certificatesKinds: KindTable = {
  certificatesigningrequests: certificateSigningRequests,
};
