import { secretOfToken, tokenOfSecret, tokenSecretName } from "../apiserver/index.ts";
import { isExpired, newJoinToken, ROLE_LABEL, TOKEN_NAMESPACE } from "../apiserver/index.ts";
import type { JoinToken } from "../apiserver/index.ts";
import { humanDuration } from "../apimachinery/index.ts";
import { CommandError, formatJoinToken, textTable } from "../cli/index.ts";
import type { ClusterOption, TokenCreateOptions } from "../cli/index.ts";
import { isNotFound, SECRETS } from "../client/index.ts";
import { certificateHash, systemRandom } from "../os/index.ts";
import { connectAsAdmin } from "./join-connection.ts";
import type { GroupVerbOptions } from "./join-verbs.ts";

const CA_HASH_LENGTH = 32;

/** `kubun token create`: prints the token alone, so that a script can take it as it is. */
export async function createToken(
  options: TokenCreateOptions,
  { write }: GroupVerbOptions,
): Promise<void> {
  const { client, ca } = connectAsAdmin(options);
  const { role, ttlMs, description } = options;
  const token = newJoinToken(systemRandom, {
    role,
    expiresMs: Date.now() + ttlMs,
    ...(description === undefined ? {} : { description }),
  });
  await client.resource(SECRETS, TOKEN_NAMESPACE).create(secretOfToken(token));
  const caHash = certificateHash(ca).slice(0, CA_HASH_LENGTH);
  write(`${formatJoinToken({ caHash, id: token.id, secret: token.secret })}\n`);
}

/** `kubun token list`. */
export async function listTokens(
  options: ClusterOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const { client } = connectAsAdmin(options);
  const secrets = await client
    .resource(SECRETS, TOKEN_NAMESPACE)
    .list({ labelSelector: ROLE_LABEL });
  const tokens = secrets.items.flatMap((secret) => tokenOfSecret(secret) ?? []);
  write(describeTokens(tokens, Date.now()));
}

/** `kubun token revoke ID`. */
export async function revokeToken(
  id: string,
  options: ClusterOption,
  { write }: GroupVerbOptions,
): Promise<void> {
  const { client } = connectAsAdmin(options);
  try {
    await client.resource(SECRETS, TOKEN_NAMESPACE).delete(tokenSecretName(id));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new CommandError(`there is no token ${id}; kubun token list shows those there are`);
  }
  write(`token ${id} is revoked; machines that joined with it stay\n`);
}

/** What `kubun token list` prints: never a secret. */
export function describeTokens(tokens: readonly JoinToken[], nowMs: number): string {
  const rows = tokens.map((token) => [
    token.id,
    token.role,
    describeEnd(token, nowMs),
    token.description ?? "",
  ]);
  return textTable(["ID", "ROLE", "EXPIRES", "DESCRIPTION"], rows);
}

function describeEnd(token: JoinToken, nowMs: number): string {
  if (token.expiresMs === undefined) return "never";
  return isExpired(token, nowMs) ? "expired" : `in ${humanDuration(token.expiresMs - nowMs)}`;
}
