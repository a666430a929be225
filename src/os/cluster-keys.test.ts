import { expect, test } from "bun:test";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { deriveClusterKeys } from "./cluster-keys.ts";

function authority(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" });
}

test("deriveClusterKeys makes the same keys wherever the authority's key is", () => {
  const key = authority();
  const [one, other] = [deriveClusterKeys(key), deriveClusterKeys(`${key.trim()}\n\n`)];
  expect(one).toEqual(other);
  expect(one.secretsKey).toHaveLength(32);
  expect(deriveClusterKeys(authority()).tokenKey).not.toBe(one.tokenKey);
});

test("deriveClusterKeys gives a key of P-256 that signs, and whose public half checks", () => {
  const key = createPrivateKey(deriveClusterKeys(authority()).tokenKey);
  expect(key.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
  const text = Buffer.from("token");
  expect(verify("sha256", text, createPublicKey(key), sign("sha256", text, key))).toBe(true);
});
