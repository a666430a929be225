import { createHash, timingSafeEqual } from "node:crypto";
import { type Secret, SECRETS } from "../../api/index.ts";
import type { PresentObjects } from "../../registry/index.ts";
import { bearerOf, type Authenticator } from "../authenticator.ts";
import { AUTHENTICATED, NODES, nodeUserName, type User } from "../user.ts";

/** Where the hashes of node credentials are. */
export const CREDENTIAL_NAMESPACE = "kube-system";
export const CREDENTIAL_TYPE = "kubun.dev/node-credential";
const CREDENTIAL_NAME_PREFIX = "node-credential-";
const HASH_KEY = "sha256";

/** Names may hold dots: the last one ends the name. */
const TOKEN = /^kubun-node\.([a-z0-9][a-z0-9.-]{0,236})\.([0-9a-f]{64})$/;

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

/**
 * The bearer token of a node, "kubun-node.NAME.SECRET": the secret is 64 hexadecimal digits that
 * only the node has. Throws RangeError for anything else.
 */
export function nodeToken(nodeName: string, secret: string): string {
  const token = `kubun-node.${nodeName}.${secret}`;
  if (!TOKEN.test(token)) throw new RangeError(`${JSON.stringify(nodeName)} is no name of a node`);
  return token;
}

/** What the cluster keeps of a node's token: its hash. Without it the token opens nothing. */
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
