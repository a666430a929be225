import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { ALGORITHM, CLOCK_SKEW_MS, DAY_MS, exportKey, pem, serialNumber } from "./certificates.ts";
import type { KeyPair } from "./certificates.ts";

const LIFETIME_DAYS = 3650;

/** A certificate for a name that nobody vouches for, valid for ten years: ECDSA P-256. */
export async function createSelfSignedCertificate(name: string, nowMs: number): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(nowMs + LIFETIME_DAYS * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
    ],
  });
  return { certificate: pem(certificate), privateKey: await exportKey(keys.privateKey) };
}
