import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "bun:test";
import { certificateCovers } from "./certificate-coverage.ts";
import { certificateHash } from "./certificate-hash.ts";
import {
  CertificateRequestError,
  createCertificateRequest,
  createPrivateKey,
  issueFromRequest,
  issueMemberCertificate,
  issueNodeCertificate,
  type IssueOptions,
} from "./certificate-requests.ts";
import { createCertificateAuthority } from "./certificates.ts";
import { PEER_SERVER_NAME } from "./peer/node-link.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 60 * 60 * 1000;

const OPTIONS: IssueOptions = {
  commonName: "system:node:a",
  organizations: ["system:nodes"],
  names: ["a.example", "127.0.0.1"],
  usages: ["client"],
  days: 1,
  nowMs: NOW_MS,
};

describe("certificate requests", () => {
  test("issueFromRequest takes the key from the request and all else from the issuer", async () => {
    const ca = await createCertificateAuthority(NOW_MS);
    const key = await createPrivateKey();
    const request = await createCertificateRequest(key, { commonName: "kubun:member:1" });
    const text = await issueFromRequest(ca, request, OPTIONS);
    const certificate = new X509Certificate(text);
    expect(certificate.subject.split("\n")).toEqual(["CN=system:node:a", "O=system:nodes"]);
    expect(certificate.subjectAltName).toBe("DNS:a.example, IP Address:127.0.0.1");
    expect(Date.parse(certificate.validFrom)).toBe(NOW_MS - HOUR_MS);
    expect(Date.parse(certificate.validTo)).toBe(NOW_MS + 24 * HOUR_MS);
    expect(certificate.ca).toBe(false);
    expect(certificateCovers(text, { names: [], ca: ca.certificate, untilMs: NOW_MS })).toBe(true);
  });

  test("issueFromRequest never outlives the authority", async () => {
    const ca = await createCertificateAuthority(NOW_MS);
    const request = await createCertificateRequest(await createPrivateKey(), { commonName: "x" });
    const certificate = await issueFromRequest(ca, request, { ...OPTIONS, days: 10_000 });
    expect(new X509Certificate(certificate).validTo).toBe(
      new X509Certificate(ca.certificate).validTo,
    );
  });

  test("issueFromRequest refuses what is not signed by its own key, and garbage", async () => {
    const ca = await createCertificateAuthority(NOW_MS);
    const request = await createCertificateRequest(await createPrivateKey(), { commonName: "x" });
    const der = Buffer.from(request.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
    // The common name is inside of what is signed.
    der[der.indexOf("x")] = "y".charCodeAt(0);
    for (const bad of [der.toString("base64"), "garbage", "", "x".repeat(9_000)]) {
      expect(issueFromRequest(ca, bad, OPTIONS)).rejects.toThrow(CertificateRequestError);
    }
  });

  test("issueFromRequest refuses names that could be read as others", async () => {
    const ca = await createCertificateAuthority(NOW_MS);
    const request = await createCertificateRequest(await createPrivateKey(), { commonName: "x" });
    for (const commonName of ["a\nO=kubun:servers", "a, O=b", "", "a\0"]) {
      const issuing = issueFromRequest(ca, request, { ...OPTIONS, commonName });
      expect(issuing).rejects.toThrow(CertificateRequestError);
    }
  });

  test("issueMemberCertificate and issueNodeCertificate keep the two roles apart", async () => {
    const ca = await createCertificateAuthority(NOW_MS);
    const request = await createCertificateRequest(await createPrivateKey(), { commonName: "x" });
    const member = new X509Certificate(
      await issueMemberCertificate(ca, request, 7, { names: [], nowMs: NOW_MS }),
    );
    expect(member.subject.split("\n")).toEqual(["CN=kubun:member:7", "O=kubun:servers"]);
    const node = new X509Certificate(
      await issueNodeCertificate(ca, request, "pi", { names: [], nowMs: NOW_MS }),
    );
    expect(node.subject.split("\n")).toEqual(["CN=system:node:pi", "O=system:nodes"]);
    expect(node.subjectAltName).toBe(`DNS:${PEER_SERVER_NAME}`);
  });

  test("certificateHash is the SHA-256 of the certificate's DER", async () => {
    const ca = await createCertificateAuthority(NOW_MS);
    const fingerprint = new X509Certificate(ca.certificate).fingerprint256;
    expect(certificateHash(ca.certificate)).toBe(fingerprint.replaceAll(":", "").toLowerCase());
  });
});
