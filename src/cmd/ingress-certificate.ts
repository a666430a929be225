import { readPair, writePair } from "./credentials.ts";
import type { DataDirectory } from "./data-directory.ts";
import type { KeyPair } from "../os/index.ts";

const PAIR = "ingress";
/** No name of the cluster's: browsers should warn, and the user should see whom they spoke to. */
const COMMON_NAME = "ingress.kubun.invalid";

/** What Ingress shows for hosts without a certificate; made once, trusted by nobody. */
export async function ensureIngressCertificate(
  directory: DataDirectory,
  nowMs: number,
): Promise<KeyPair> {
  const existing = readPair(directory, PAIR);
  if (existing !== undefined) return existing;
  const { createSelfSignedCertificate } = await import("../os/self-signed-certificate.ts");
  return writePair(directory, PAIR, await createSelfSignedCertificate(COMMON_NAME, nowMs));
}
