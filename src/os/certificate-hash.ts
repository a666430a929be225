import { createHash, X509Certificate } from "node:crypto";

/** SHA-256 of the certificate's DER, 64 hex digits: what a join token pins. */
export function certificateHash(certificatePem: string): string {
  return createHash("sha256").update(new X509Certificate(certificatePem).raw).digest("hex");
}
