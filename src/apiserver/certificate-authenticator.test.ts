import { describe, expect, test } from "bun:test";
import { ManualClock } from "../lib/index.ts";
import { tokenAuthenticator } from "./authenticator.ts";
import { certificateAuthenticator, type ClientCertificate } from "./certificate-authenticator.ts";

const JANE: ClientCertificate = {
  commonName: "jane",
  organizations: ["dev", "ops"],
  validFromMs: 1_000,
  validToMs: 2_000,
  hash: "ab12",
  fault: undefined,
};

describe("certificateAuthenticator", () => {
  const clock = new ManualClock(1_500);
  const others = tokenAuthenticator(new Map([["known", { name: "bob", groups: [] }]]));
  const ask = (certificate: ClientCertificate | undefined, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const request = new Request("https://cluster/api", { headers });
    const asked = certificateAuthenticator({ certificateOf: () => certificate, others, clock });
    return asked.authenticate(request);
  };

  test("certificateAuthenticator: name and organizations are the user, before any token", () => {
    const jane = {
      name: "jane",
      groups: ["dev", "ops", "system:authenticated"],
      extra: { "authentication.kubernetes.io/credential-id": ["X509SHA256=ab12"] },
    };
    expect(ask(JANE)).toEqual(jane);
    expect(ask(JANE, "known")).toEqual(jane);
    expect(ask(undefined)).toBeUndefined();
    expect(ask({ ...JANE, commonName: "" }, "known")).toMatchObject({ name: "bob" });
  });

  test("certificateAuthenticator: one that is not valid is 401, but for a token", () => {
    const refused: readonly ClientCertificate[] = [
      { ...JANE, validToMs: 1_400 },
      { ...JANE, validFromMs: 1_600 },
      { ...JANE, fault: "self-signed certificate" },
      { ...JANE, commonName: "system:node:pi", organizations: ["system:nodes"] },
      { ...JANE, commonName: "kubun:member:1", organizations: ["kubun:servers"] },
    ];
    for (const certificate of refused) {
      expect(() => ask(certificate)).toThrow("Unauthorized");
      expect(() => ask(certificate, "wrong")).toThrow("Unauthorized");
      expect(ask(certificate, "known")).toMatchObject({ name: "bob" });
    }
  });
});
