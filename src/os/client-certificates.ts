import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { CertificateRequestError, genuineRequest } from "./certificate-requests.ts";
import {
  ALGORITHM,
  CLOCK_SKEW_MS,
  importSigningKey,
  pem,
  serialNumber,
  type KeyPair,
} from "./certificates.ts";

const MIN_RSA_BITS = 2048;

export interface ClientCertificateOptions {
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

/**
 * Issues a client certificate, PEM, for the subject and the key of a request that somebody
 * approved. Throws {@link CertificateRequestError}.
 */
export async function issueClientCertificate(
  ca: KeyPair,
  request: string,
  { nowMs, lifetimeMs }: ClientCertificateOptions,
): Promise<string> {
  const { subjectName, publicKey } = await parsedRequest(request);
  const issuer = new x509.X509Certificate(ca.certificate);
  const { digitalSignature, keyEncipherment } = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: subjectName,
    issuer: issuer.subject,
    notBefore: new Date(nowMs - Math.min(CLOCK_SKEW_MS, lifetimeMs / 10)),
    notAfter: new Date(Math.min(nowMs + lifetimeMs, issuer.notAfter.getTime())),
    publicKey,
    signingKey: await importSigningKey(ca.privateKey),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(digitalSignature | keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return pem(certificate);
}

async function parsedRequest(request: string): Promise<x509.Pkcs10CertificateRequest> {
  const parsed = await genuineRequest(request);
  const algorithm: { name: string; modulusLength?: number } = parsed.publicKey.algorithm;
  if (algorithm.name.startsWith("RSA") && (algorithm.modulusLength ?? 0) < MIN_RSA_BITS) {
    throw new CertificateRequestError(`the key has fewer than ${MIN_RSA_BITS} bits`);
  }
  refusePeers(parsed.subjectName);
  return parsed;
}

/** Servers and nodes know one another by certificates of the same authority: it makes none here. */
function refusePeers(subject: x509.Name): void {
  const names = [...subject.getField("O"), ...subject.getField("CN")];
  const taken = names.find((name) => name.startsWith("kubun:") || name.startsWith("system:node"));
  if (taken === undefined) return;
  throw new CertificateRequestError(`${JSON.stringify(taken)} is a name of the cluster's machines`);
}
