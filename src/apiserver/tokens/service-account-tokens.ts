import {
  NODES,
  type Pod,
  PODS,
  type Secret,
  SECRETS,
  SERVICE_ACCOUNTS,
  type ServiceAccount,
} from "../../api/index.ts";
import { parseRfc3339, type KubeObject } from "../../apimachinery/index.ts";
import type { Clock } from "../../lib/index.ts";
import type { PresentObjects } from "../../registry/index.ts";
import { type Authenticator, bearerOf } from "../authenticator.ts";
import { AUTHENTICATED, type User } from "../user.ts";
import {
  accountUserName,
  ISSUER,
  legacyClaims,
  type NamedObject,
  readClaims,
  type ServiceAccountClaims,
} from "./service-account-claims.ts";
import { isSignedToken, type TokenKeys } from "./token-keys.ts";

export const TOKEN_SECRET_TYPE = "kubernetes.io/service-account-token";
const TOKEN_KEY = "token";
/** Tokens whose signature need not be checked again. */
export const MAX_REMEMBERED_TOKENS = 4096;
/** An object that is being deleted counts for so long, because clocks differ. */
const DELETION_LEEWAY_MS = 60_000;
const CREDENTIAL = "authentication.kubernetes.io/";

/** A token that was found good. */
export interface KnownToken {
  readonly user: User;
  /** Those of the wanted audiences that it is for. */
  readonly audiences: readonly string[];
}

/** The tokens of ServiceAccounts: who brings one, and what they are signed with. */
export class ServiceAccountTokens implements Authenticator {
  readonly keys: TokenKeys;
  readonly #present: PresentObjects;
  readonly #clock: Clock;
  /** By their text, in the order in which they were seen first. */
  readonly #verified = new Map<string, ServiceAccountClaims>();

  constructor(options: {
    readonly keys: TokenKeys;
    readonly present: PresentObjects;
    readonly clock: Clock;
  }) {
    this.keys = options.keys;
    this.#present = options.present;
    this.#clock = options.clock;
  }

  authenticate(request: Request): User | undefined | Promise<User | undefined> {
    const token = bearerOf(request);
    if (token === undefined || !isSignedToken(token)) return undefined;
    const known = this.#verified.get(token);
    if (known !== undefined) return this.#accept(token, known, [ISSUER])?.user;
    return this.review(token, [ISSUER]).then((found) => found?.user);
  }

  /** Who brings a token that is for one of these audiences; undefined when it opens nothing. */
  async review(token: string, audiences: readonly string[]): Promise<KnownToken | undefined> {
    const claims = await this.#verify(token);
    return claims === undefined ? undefined : this.#accept(token, claims, audiences);
  }

  /** The token for a Secret of type kubernetes.io/service-account-token. */
  signLegacy(namespace: string, account: NamedObject, secret: string): Promise<string> {
    return this.keys.sign(legacyClaims(namespace, account, secret));
  }

  async #verify(token: string): Promise<ServiceAccountClaims | undefined> {
    const known = this.#verified.get(token);
    if (known !== undefined) return known;
    const claims = await this.keys.verify(token);
    const read = claims === undefined ? undefined : readClaims(claims);
    if (read === undefined) return undefined;
    if (this.#verified.size >= MAX_REMEMBERED_TOKENS) {
      for (const oldest of this.#verified.keys()) {
        this.#verified.delete(oldest);
        break;
      }
    }
    this.#verified.set(token, read);
    return read;
  }

  /** What may change at any time is looked at each time: the hour, and what it is bound to. */
  #accept(
    token: string,
    claims: ServiceAccountClaims,
    wanted: readonly string[],
  ): KnownToken | undefined {
    const nowSeconds = this.#clock.now() / 1000;
    if (claims.expires !== undefined && nowSeconds >= claims.expires) return undefined;
    if (claims.notBefore !== undefined && nowSeconds < claims.notBefore - 60) return undefined;
    const audiences =
      claims.type === "legacy" && wanted.includes(ISSUER)
        ? [ISSUER]
        : wanted.filter((audience) => claims.audiences.includes(audience));
    if (audiences.length === 0) return undefined;
    const { namespace, account, pod, secret } = claims;
    const find = this.#present;
    const owner: ServiceAccount | undefined = find.find(SERVICE_ACCOUNTS, namespace, account.name);
    if (!this.#lives(owner, account.uid)) return undefined;
    if (pod !== undefined) {
      const present: Readonly<Pod> | undefined = find.find(PODS, namespace, pod.name);
      if (!this.#lives(present, pod.uid)) return undefined;
    }
    if (secret !== undefined) {
      const present: Readonly<Secret> | undefined = find.find(SECRETS, namespace, secret.name);
      if (!this.#lives(present, secret.uid)) return undefined;
      if (claims.type === "legacy" && !holdsToken(present, token)) return undefined;
    }
    // A pod's token says where the pod runs; only a token that is bound to a node alone needs it.
    if (claims.node !== undefined && pod === undefined) {
      if (!this.#lives(find.find(NODES, "", claims.node.name), claims.node.uid)) return undefined;
    }
    return { user: userOf(claims), audiences };
  }

  /** Whether it is there, is the one that is meant, and was not deleted a while ago. */
  #lives(object: Readonly<KubeObject> | undefined, uid: string): boolean {
    if (object === undefined || (uid !== "" && object.metadata.uid !== uid)) return false;
    const { deletionTimestamp } = object.metadata;
    if (deletionTimestamp === undefined) return true;
    return parseRfc3339(deletionTimestamp) + DELETION_LEEWAY_MS > this.#clock.now();
  }
}

function holdsToken(secret: Readonly<Secret> | undefined, token: string): boolean {
  const held = secret?.data?.[TOKEN_KEY] ?? "";
  return Buffer.from(held, "base64").toString("utf8") === token;
}

function userOf({ namespace, account, pod, node, id }: ServiceAccountClaims): User {
  const extra: Record<string, string[]> = {};
  if (id !== undefined) extra[`${CREDENTIAL}credential-id`] = [`JTI=${id}`];
  if (pod !== undefined) {
    extra[`${CREDENTIAL}pod-name`] = [pod.name];
    extra[`${CREDENTIAL}pod-uid`] = [pod.uid];
  }
  if (node !== undefined) {
    extra[`${CREDENTIAL}node-name`] = [node.name];
    extra[`${CREDENTIAL}node-uid`] = [node.uid];
  }
  return {
    name: accountUserName(namespace, account.name),
    uid: account.uid,
    groups: [...accountGroups(namespace), AUTHENTICATED],
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/** Every ServiceAccount is in the first, those of a namespace in the second. */
export function accountGroups(namespace: string): string[] {
  return ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
}
