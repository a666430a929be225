import { expect, test } from "bun:test";
import type { CertificateSigningRequest } from "../../api/index.ts";
import { rfc3339 } from "../../apimachinery/index.ts";
import { planRequest } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 2);
const HOUR_MS = 3_600_000;

function request(
  types: readonly string[],
  more: { certificate?: string; usages?: string[]; seconds?: number; ageMs?: number } = {},
): CertificateSigningRequest {
  const at = rfc3339(NOW - (more.ageMs ?? 0));
  return {
    metadata: { name: "jane", creationTimestamp: at },
    spec: {
      request: Buffer.from("PEM").toString("base64"),
      signerName: "kubernetes.io/kube-apiserver-client",
      usages: more.usages ?? ["client auth", "digital signature"],
      ...(more.seconds !== undefined && { expirationSeconds: more.seconds }),
    },
    status: {
      conditions: types.map((type) => ({ type, status: "True", lastUpdateTime: at })),
      ...(more.certificate !== undefined && { certificate: more.certificate }),
    },
  };
}

test("planRequest signs what was approved, for no longer than was asked for or is allowed", () => {
  const plan = (seconds?: number) =>
    planRequest(request(["Approved"], seconds === undefined ? {} : { seconds }), {
      nowMs: NOW,
      maxLifetimeMs: 2 * HOUR_MS,
    });
  expect(plan(3600)).toEqual({ type: "sign", request: "PEM", lifetimeMs: HOUR_MS });
  expect(plan()).toMatchObject({ lifetimeMs: 2 * HOUR_MS });
  expect(plan(9e6)).toMatchObject({ lifetimeMs: 2 * HOUR_MS });
});

test("planRequest fails what the signer does not sign", () => {
  for (const usages of [["server auth", "client auth"], ["digital signature"]]) {
    expect(planRequest(request(["Approved"], { usages }), { nowMs: NOW })).toMatchObject({
      type: "fail",
      reason: "SignerValidationFailure",
    });
  }
});

test("planRequest: what was decided goes after an hour, what nobody looked at after a day", () => {
  const options = { nowMs: NOW };
  expect(planRequest(request([]), options)).toEqual({ type: "wait", untilMs: NOW + 24 * HOUR_MS });
  expect(planRequest(request([], { ageMs: 24 * HOUR_MS }), options).type).toBe("delete");
  for (const type of ["Denied", "Failed"]) {
    expect(planRequest(request(["Approved", type]), options).type).toBe("wait");
    expect(planRequest(request([type], { ageMs: HOUR_MS }), options).type).toBe("delete");
  }
  const issued = request(["Approved"], { certificate: "Q0VSVA==", ageMs: HOUR_MS });
  expect(planRequest(issued, options).type).toBe("delete");
});
