import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createCertificateRequest, createPrivateKey } from "./certificate-requests.ts";
import { createCertificateAuthority } from "./certificates.ts";
import { issueClientCertificate } from "./client-certificates.ts";

const NOW = Date.UTC(2026, 0, 2);
const HOUR_MS = 3_600_000;

async function issue(commonName: string) {
  const ca = await createCertificateAuthority(NOW);
  const request = await createCertificateRequest(await createPrivateKey(), { commonName });
  const pem = await issueClientCertificate(ca, request, { nowMs: NOW, lifetimeMs: HOUR_MS });
  return { ca: new X509Certificate(ca.certificate), certificate: new X509Certificate(pem) };
}

test("issueClientCertificate certifies the subject and the key of the request", async () => {
  const { ca, certificate } = await issue("jane");
  expect(certificate.subject).toBe("CN=jane");
  expect(certificate.verify(ca.publicKey)).toBe(true);
  expect(Date.parse(certificate.validTo)).toBe(NOW + HOUR_MS);
  expect(certificate.ca).toBe(false);
});

test("issueClientCertificate makes nobody a machine, and signs no junk", async () => {
  expect(issue("kubun:member:1")).rejects.toThrow("is a name of the cluster's machines");
  expect(issue("system:node:pi")).rejects.toThrow("is a name of the cluster's machines");
  const ca = await createCertificateAuthority(NOW);
  const junk = issueClientCertificate(ca, "junk", { nowMs: NOW, lifetimeMs: HOUR_MS });
  expect(junk).rejects.toThrow("not a certificate request");
});
