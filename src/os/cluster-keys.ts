import { createECDH, createPrivateKey, hkdfSync } from "node:crypto";

/** Keys that every server of a cluster has, and nobody else. */
export interface ClusterKeys {
  /** ECDSA P-256, PKCS #8, PEM: signs the tokens of ServiceAccounts. */
  readonly tokenKey: string;
  /** 256 bits: what Secrets are stored under. */
  readonly secretsKey: Uint8Array;
}

const CURVE = "prime256v1";
/** The number of points of P-256 (FIPS 186-5, section 3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const SCALAR_BYTES = 32;
/** 64 bits more than the order has, so that the remainder favours no number. */
const SEED_BYTES = 40;
const SECRETS_KEY_BYTES = 32;

/**
 * The cluster's other keys, made of its authority's (HKDF, RFC 5869): whoever was given that one
 * has them too, so that they need no way of their own to servers that join, and a copy of one file
 * keeps them all. Knowing one of them tells nothing of the others.
 */
export function deriveClusterKeys(caPrivateKey: string): ClusterKeys {
  const authority = createPrivateKey(caPrivateKey).export({ type: "pkcs8", format: "der" });
  const derive = (purpose: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync("sha256", authority, "kubun", purpose, length));
  return {
    tokenKey: signingKey(derive("service account tokens v1", SEED_BYTES)),
    secretsKey: derive("secrets at rest v1", SECRETS_KEY_BYTES),
  };
}

/** FIPS 186-5, appendix A.2.1: extra random bits. */
function signingKey(seed: Uint8Array): string {
  const scalar = (BigInt(`0x${Buffer.from(seed).toString("hex")}`) % (ORDER - 1n)) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(SCALAR_BYTES * 2, "0"), "hex");
  const exchange = createECDH(CURVE);
  exchange.setPrivateKey(d);
  // 0x04 and the two coordinates.
  const point = exchange.getPublicKey();
  const text = (bytes: Buffer): string => bytes.toString("base64url");
  const key = createPrivateKey({
    format: "jwk",
    key: {
      kty: "EC",
      crv: "P-256",
      d: text(d),
      x: text(point.subarray(1, 1 + SCALAR_BYTES)),
      y: text(point.subarray(1 + SCALAR_BYTES)),
    },
  });
  return key.export({ type: "pkcs8", format: "pem" });
}
