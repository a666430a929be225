import { createHash, timingSafeEqual } from "node:crypto";
import { type Secret, SECRETS } from "../../api/index.ts";
import { isStatusError, parseRfc3339, rfc3339 } from "../../apimachinery/index.ts";
import type { Random } from "../../lib/index.ts";
import type { Registry } from "../../registry/index.ts";
import { resourceOf } from "../resource-of.ts";

/** What a machine may become with a token. */
export type JoinRole = "server" | "agent";

/** A join token as the cluster keeps it. */
export interface JoinToken {
  /** Public; six characters of [a-z0-9]. */
  readonly id: string;
  /** Sixteen characters of [a-z0-9]; never logged. */
  readonly secret: string;
  readonly role: JoinRole;
  /** Milliseconds since the Unix epoch; absent: it does not end by itself. */
  readonly expiresMs?: number;
  readonly description?: string;
}

export const TOKEN_NAMESPACE = "kube-system";
export const TOKEN_TYPE = "bootstrap.kubernetes.io/token";
const TOKEN_NAME_PREFIX = "bootstrap-token-";
/** On the Secret: what the token is for. */
export const ROLE_LABEL = "kubun.dev/role";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const ID_LENGTH = 6;
const SECRET_LENGTH = 16;
const BEARER = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;

/** A new token; it means nothing until its Secret is stored. */
export function newJoinToken(random: Random, rest: Omit<JoinToken, "id" | "secret">): JoinToken {
  return { id: randomText(random, ID_LENGTH), secret: randomText(random, SECRET_LENGTH), ...rest };
}

export function tokenSecretName(id: string): string {
  return TOKEN_NAME_PREFIX + id;
}

/** The Secret that keeps a token, in the shape of Kubernetes' bootstrap tokens. */
export function secretOfToken(token: JoinToken): Secret {
  const { id, secret, role, expiresMs, description } = token;
  const data: Record<string, string> = {
    "token-id": id,
    "token-secret": secret,
    "usage-bootstrap-signing": "true",
    "usage-bootstrap-authentication": "true",
    ...(description === undefined ? {} : { description }),
    ...(expiresMs === undefined ? {} : { expiration: rfc3339(expiresMs) }),
  };
  const encoded = Object.entries(data).map(([key, text]) => [
    key,
    Buffer.from(text).toString("base64"),
  ]);
  return {
    kind: "Secret",
    apiVersion: "v1",
    metadata: {
      name: tokenSecretName(id),
      namespace: TOKEN_NAMESPACE,
      labels: { [ROLE_LABEL]: role },
    },
    type: TOKEN_TYPE,
    data: Object.fromEntries(encoded) as Record<string, string>,
  };
}

/** Reads a token's Secret; undefined for other Secrets, and for a token that lets nobody join. */
export function tokenOfSecret(secret: Readonly<Secret>): JoinToken | undefined {
  const { metadata, type, data = {} } = secret;
  const role = metadata.labels?.[ROLE_LABEL];
  if (type !== TOKEN_TYPE || (role !== "server" && role !== "agent")) return undefined;
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  const id = text("token-id");
  const tokenSecret = text("token-secret");
  if (!BEARER.test(`${id}.${tokenSecret}`)) return undefined;
  if (metadata.name !== tokenSecretName(id)) return undefined;
  if (text("usage-bootstrap-authentication") !== "true") return undefined;
  const expiration = text("expiration");
  const description = text("description");
  return {
    id,
    secret: tokenSecret,
    role,
    // What cannot be read has ended: an unreadable end must not mean none.
    ...(expiration === "" ? {} : { expiresMs: parseRfc3339(expiration) || 0 }),
    ...(description === "" ? {} : { description }),
  };
}

export function isExpired({ expiresMs }: JoinToken, nowMs: number): boolean {
  return expiresMs !== undefined && nowMs >= expiresMs;
}

/** Deletes the tokens that have ended; gives their ids. For the leader, now and then. */
export async function deleteEndedTokens(registry: Registry, nowMs: number): Promise<string[]> {
  const ended = registry.present
    .all(SECRETS, TOKEN_NAMESPACE)
    .flatMap((secret) => tokenOfSecret(secret) ?? [])
    .filter((token) => isExpired(token, nowMs));
  for (const { id } of ended) await revokeJoinToken(registry, id);
  return ended.map(({ id }) => id);
}

async function revokeJoinToken(registry: Registry, id: string): Promise<void> {
  try {
    await resourceOf(registry, SECRETS).delete(TOKEN_NAMESPACE, tokenSecretName(id));
  } catch (error) {
    // Somebody else was faster.
    if (!isStatusError(error, "NotFound")) throw error;
  }
}

/**
 * The token behind "ID.SECRET", one that has ended included ({@link isExpired}); a revoked one is
 * nobody's. Asks for the latest state: what was revoked at another server is not taken here.
 */
export async function findJoinToken(
  registry: Registry,
  bearer: string,
): Promise<JoinToken | undefined> {
  const [, id = "", secret = ""] = BEARER.exec(bearer) ?? [];
  if (id === "") return undefined;
  const token = await findToken(registry, id);
  // A token that does not exist is compared all the same, so that time does not tell.
  const matches = sameText(secret, token?.secret ?? "");
  return matches ? token : undefined;
}

async function findToken(registry: Registry, id: string): Promise<JoinToken | undefined> {
  try {
    const secrets = resourceOf(registry, SECRETS);
    const stored = await secrets.get(TOKEN_NAMESPACE, tokenSecretName(id));
    return tokenOfSecret(stored.object);
  } catch (error) {
    if (isStatusError(error, "NotFound")) return undefined;
    throw error;
  }
}

function sameText(left: string, right: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(left), hash(right));
}

function randomText(random: Random, length: number): string {
  let text = "";
  while (text.length < length) {
    // Bytes behind the last whole round of the alphabet would make its beginning likelier.
    const usable = [...random.bytes(length)].filter((byte) => byte < 256 - (256 % ALPHABET.length));
    for (const byte of usable) text += ALPHABET[byte % ALPHABET.length] ?? "";
  }
  return text.slice(0, length);
}
