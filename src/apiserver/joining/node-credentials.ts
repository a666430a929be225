import { createHash, timingSafeEqual } from "node:crypto";
import { type Secret, SECRETS } from "../../api/index.ts";
import { alreadyExists, isStatusError } from "../../apimachinery/index.ts";
import type { Random } from "../../lib/index.ts";
import type { PresentObjects, Registry } from "../../registry/index.ts";
import { bearerOf, type Authenticator } from "../authenticator.ts";
import { resourceOf } from "../resource-of.ts";
import { AUTHENTICATED, NODES, nodeUserName, type User } from "../user.ts";

/** Where the hashes of node credentials are. */
export const CREDENTIAL_NAMESPACE = "kube-system";
export const CREDENTIAL_TYPE = "kubun.dev/node-credential";
const CREDENTIAL_NAME_PREFIX = "node-credential-";
const HASH_KEY = "sha256";

/** Names may hold dots: the last one ends the name. */
const TOKEN = /^kubun-node\.([a-z0-9][a-z0-9.-]{0,236})\.([0-9a-f]{64})$/;
const SECRET_BYTES = 32;

export interface CredentialIssuer {
  readonly registry: Registry;
  readonly random: Random;
}

/**
 * Makes the bearer token of a node, "kubun-node.NAME.64 hexadecimal digits", of which the cluster
 * keeps only the hash. `existing` says what becomes of a credential that the node has already:
 * replacing it revokes it. Throws 409 AlreadyExists for "refuse".
 */
export async function createNodeCredential(
  { registry, random }: CredentialIssuer,
  nodeName: string,
  { existing }: { readonly existing: "replace" | "refuse" },
): Promise<string> {
  const token = nodeToken(nodeName, hexOf(random.bytes(SECRET_BYTES)));
  const secrets = resourceOf(registry, SECRETS);
  const name = credentialSecretName(nodeName);
  const secret = credentialSecret(nodeName, token);
  try {
    await secrets.create(CREDENTIAL_NAMESPACE, structuredClone(secret));
    return token;
  } catch (error) {
    if (!isStatusError(error, "AlreadyExists")) throw error;
    if (existing === "refuse") throw alreadyExists(SECRETS, name);
  }
  // A Secret's type cannot change: whatever else has the name goes.
  await secrets.delete(CREDENTIAL_NAMESPACE, name);
  await secrets.create(CREDENTIAL_NAMESPACE, secret);
  return token;
}

/** Ends a node's credential at once. Nothing happens when there is none. */
export async function revokeNodeCredential(registry: Registry, nodeName: string): Promise<void> {
  const secrets = resourceOf(registry, SECRETS);
  try {
    await secrets.delete(CREDENTIAL_NAMESPACE, credentialSecretName(nodeName));
  } catch (error) {
    if (!isStatusError(error, "NotFound")) throw error;
  }
}

/** The Secret that holds the hash of a node's token. */
export function credentialSecretName(nodeName: string): string {
  return CREDENTIAL_NAME_PREFIX + nodeName;
}

/** Knows nodes by their credentials, as this server has applied them. */
export function nodeAuthenticator(present: PresentObjects): Authenticator {
  return {
    authenticate(request) {
      const token = bearerOf(request);
      return token === undefined ? undefined : userOfToken(token, present);
    },
  };
}

function userOfToken(token: string, present: PresentObjects): User | undefined {
  const nodeName = TOKEN.exec(token)?.[1];
  if (nodeName === undefined) return undefined;
  const secret = present.find(SECRETS, CREDENTIAL_NAMESPACE, credentialSecretName(nodeName));
  if (secret === undefined || secret.type !== CREDENTIAL_TYPE) return undefined;
  const expected = Buffer.from(secret.data?.[HASH_KEY] ?? "", "base64").toString("utf8");
  const given = Buffer.from(hashOf(token));
  const wanted = Buffer.from(expected);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
  return { name: nodeUserName(nodeName), groups: [NODES, AUTHENTICATED] };
}

/** The bearer token of a node: its name and 64 hexadecimal digits that only the node has. */
export function nodeToken(nodeName: string, secret: string): string {
  const token = `kubun-node.${nodeName}.${secret}`;
  if (!TOKEN.test(token)) throw new RangeError(`${JSON.stringify(nodeName)} is no name of a node`);
  return token;
}

/** What the cluster keeps of a node's token: its hash. */
export function credentialSecret(nodeName: string, token: string): Secret {
  return {
    kind: "Secret",
    apiVersion: "v1",
    metadata: { name: credentialSecretName(nodeName), namespace: CREDENTIAL_NAMESPACE },
    type: CREDENTIAL_TYPE,
    data: { [HASH_KEY]: Buffer.from(hashOf(token)).toString("base64") },
  };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
