import type { TokenClaims } from "./token-keys.ts";

/** An object by name and uid: another one of the same name is not meant. */
export interface NamedObject {
  readonly name: string;
  readonly uid: string;
}

/** What a token stands for. */
export interface TokenSubject {
  readonly namespace: string;
  readonly account: NamedObject;
  /** The token ends with what it is bound to. */
  readonly pod?: NamedObject;
  readonly secret?: NamedObject;
  /** Of a pod's token also where the pod runs. */
  readonly node?: NamedObject;
}

/** The claims that are looked at when a token comes back. */
export interface ServiceAccountClaims extends TokenSubject {
  readonly type: "bound" | "legacy";
  readonly audiences: readonly string[];
  /** Seconds since the Unix epoch; absent of a legacy token, which does not end by itself. */
  readonly expires?: number;
  readonly notBefore?: number;
  readonly id?: string;
}

export const ISSUER = "https://kubernetes.default.svc.cluster.local";
const LEGACY_ISSUER = "kubernetes/serviceaccount";
const LEGACY_PREFIX = "kubernetes.io/serviceaccount/";
const SUBJECT_PREFIX = "system:serviceaccount:";

/** "system:serviceaccount:default:web" */
export function accountUserName(namespace: string, name: string): string {
  return `${SUBJECT_PREFIX}${namespace}:${name}`;
}

export interface BoundTokenOptions {
  readonly audiences: readonly string[];
  readonly nowSeconds: number;
  readonly lifetimeSeconds: number;
  /** Unique. */
  readonly id: string;
  /** After which its use should be complained about; it lasts longer for those who never renew. */
  readonly warnAfterSeconds?: number;
}

/** The claims of a token as Kubernetes writes them. */
export function boundClaims(subject: TokenSubject, options: BoundTokenOptions): TokenClaims {
  const { namespace, account, pod, secret, node } = subject;
  const { audiences, nowSeconds, lifetimeSeconds, id, warnAfterSeconds } = options;
  const warnafter =
    warnAfterSeconds === undefined ? {} : { warnafter: nowSeconds + warnAfterSeconds };
  return {
    aud: audiences,
    exp: nowSeconds + lifetimeSeconds,
    iat: nowSeconds,
    iss: ISSUER,
    jti: id,
    "kubernetes.io": {
      namespace,
      ...(node && { node }),
      ...(pod && { pod }),
      ...(secret && { secret }),
      serviceaccount: account,
      ...warnafter,
    },
    nbf: nowSeconds,
    sub: accountUserName(namespace, account.name),
  };
}

/** The claims of the token in a Secret of type kubernetes.io/service-account-token. */
export function legacyClaims(namespace: string, account: NamedObject, secret: string): TokenClaims {
  return {
    iss: LEGACY_ISSUER,
    [`${LEGACY_PREFIX}namespace`]: namespace,
    [`${LEGACY_PREFIX}secret.name`]: secret,
    [`${LEGACY_PREFIX}service-account.name`]: account.name,
    [`${LEGACY_PREFIX}service-account.uid`]: account.uid,
    sub: accountUserName(namespace, account.name),
  };
}

/** Reads claims whose signature was found good; undefined for those of no ServiceAccount. */
export function readClaims(claims: TokenClaims): ServiceAccountClaims | undefined {
  if (claims["iss"] === LEGACY_ISSUER) return readLegacy(claims);
  const inner = claims["kubernetes.io"];
  if (claims["iss"] !== ISSUER || !isRecord(inner)) return undefined;
  const account = namedObject(inner["serviceaccount"]);
  const { namespace } = inner;
  const { exp, nbf, jti } = claims;
  if (account === undefined || typeof namespace !== "string" || typeof exp !== "number") {
    return undefined;
  }
  if (claims["sub"] !== accountUserName(namespace, account.name)) return undefined;
  const pod = namedObject(inner["pod"]);
  const secret = namedObject(inner["secret"]);
  const node = namedObject(inner["node"]);
  return {
    type: "bound",
    namespace,
    account,
    audiences: texts(claims["aud"]),
    expires: exp,
    ...(typeof nbf === "number" && { notBefore: nbf }),
    ...(typeof jti === "string" && { id: jti }),
    ...(pod && { pod }),
    ...(secret && { secret }),
    ...(node && { node }),
  };
}

function readLegacy(claims: TokenClaims): ServiceAccountClaims | undefined {
  const text = (key: string): string => texts(claims[LEGACY_PREFIX + key])[0] ?? "";
  const namespace = text("namespace");
  const account = { name: text("service-account.name"), uid: text("service-account.uid") };
  if (claims["sub"] !== accountUserName(namespace, account.name)) return undefined;
  const secret = { name: text("secret.name"), uid: "" };
  return { type: "legacy", namespace, account, secret, audiences: [] };
}

function namedObject(value: unknown): NamedObject | undefined {
  if (!isRecord(value)) return undefined;
  const { name, uid } = value;
  return typeof name === "string" && typeof uid === "string" ? { name, uid } : undefined;
}

function texts(value: unknown): string[] {
  const all: unknown[] = Array.isArray(value) ? value : [value];
  return all.filter((item): item is string => typeof item === "string");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
