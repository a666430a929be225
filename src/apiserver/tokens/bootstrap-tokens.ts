import { createHash, timingSafeEqual } from "node:crypto";
import { type Secret, SECRETS } from "../../api/index.ts";
import { parseRfc3339 } from "../../apimachinery/index.ts";
import type { Clock } from "../../lib/index.ts";
import type { PresentObjects } from "../../registry/index.ts";
import { type Authenticator, bearerOf } from "../authenticator.ts";
import {
  ROLE_LABEL,
  TOKEN_NAMESPACE,
  TOKEN_TYPE,
  tokenSecretName,
} from "../joining/join-tokens.ts";
import { AUTHENTICATED, type User } from "../user.ts";

const BEARER = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const GROUP = "system:bootstrappers";
const GROUP_SHAPE = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/**
 * Knows bootstrap tokens ("abcdef.0123456789abcdef") by their Secrets in kube-system. Tokens with
 * which machines join are none: they open the join protocol and nothing of the API.
 */
export function bootstrapTokenAuthenticator(
  present: PresentObjects,
  clock: Pick<Clock, "now">,
): Authenticator {
  return {
    authenticate(request) {
      const [, id = "", secret = ""] = BEARER.exec(bearerOf(request) ?? "") ?? [];
      if (id === "") return undefined;
      const kept = present.find(SECRETS, TOKEN_NAMESPACE, tokenSecretName(id));
      return kept === undefined ? undefined : userOf(kept, { id, secret }, clock.now());
    },
  };
}

function userOf(
  kept: Readonly<Secret>,
  given: { readonly id: string; readonly secret: string },
  nowMs: number,
): User | undefined {
  const { metadata, type, data = {} } = kept;
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  if (type !== TOKEN_TYPE || metadata.deletionTimestamp !== undefined) return undefined;
  if (metadata.labels?.[ROLE_LABEL] !== undefined) return undefined;
  if (text("token-id") !== given.id || !sameText(text("token-secret"), given.secret)) {
    return undefined;
  }
  if (text("usage-bootstrap-authentication") !== "true") return undefined;
  const expiration = text("expiration");
  // An end that cannot be read is in the past.
  if (expiration !== "" && !(parseRfc3339(expiration) > nowMs)) return undefined;
  const extra = text("auth-extra-groups")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (!extra.every((name) => GROUP_SHAPE.test(name))) return undefined;
  return { name: `system:bootstrap:${given.id}`, groups: [GROUP, ...extra, AUTHENTICATED] };
}

function sameText(left: string, right: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(left), hash(right));
}
