import type { CryptoKey, JWK } from "jose";

/** The claims of a token, as they stand in it. */
export type TokenClaims = Readonly<Record<string, unknown>>;

/** Signs and checks tokens; what they say is not its business. */
export interface TokenKeys {
  sign(claims: TokenClaims): Promise<string>;
  /** What a token of these keys says; undefined for any other text. */
  verify(token: string): Promise<TokenClaims | undefined>;
  /** The public keys, RFC 7517. */
  keySet(): Promise<{ readonly keys: readonly JWK[] }>;
}

const ALGORITHM = "ES256";
/** Header, claims and signature, each in base64url. */
const SHAPE = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;
/** The largest token that is looked at; those made here have under 2 KiB. */
const MAX_TOKEN_CHARACTERS = 16 * 1024;

/** Whether a text could be a signed token. */
export function isSignedToken(text: string): boolean {
  return text.length <= MAX_TOKEN_CHARACTERS && SHAPE.test(text);
}

interface Keys {
  readonly jose: typeof import("jose");
  readonly signing: CryptoKey;
  readonly verifying: CryptoKey;
  readonly published: JWK & { readonly kid: string };
}

/** Keys from an ECDSA P-256 private key (PEM); the library is loaded with the first use. */
export function createTokenKeys(privateKey: string): TokenKeys {
  let keys: Promise<Keys> | undefined;
  const ready = (): Promise<Keys> => (keys ??= loadKeys(privateKey));
  return {
    async sign(claims) {
      const { jose, signing, published } = await ready();
      return new jose.CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader({ alg: ALGORITHM, kid: published.kid })
        .sign(signing);
    },
    async verify(token) {
      if (!isSignedToken(token)) return undefined;
      const { jose, verifying } = await ready();
      try {
        const options = { algorithms: [ALGORITHM] };
        const { payload } = await jose.compactVerify(token, verifying, options);
        return JSON.parse(Buffer.from(payload).toString("utf8")) as TokenClaims;
      } catch {
        // Not a token, or signed with another key: it is nobody's.
        return undefined;
      }
    },
    async keySet() {
      const { published } = await ready();
      return { keys: [published] };
    },
  };
}

async function loadKeys(privateKey: string): Promise<Keys> {
  const jose = await import("jose");
  const signing = await jose.importPKCS8(privateKey, ALGORITHM, { extractable: true });
  const { d: _private, ...jwk } = await jose.exportJWK(signing);
  const verifying = (await jose.importJWK(jwk, ALGORITHM)) as CryptoKey;
  const kid = await jose.calculateJwkThumbprint(jwk);
  return { jose, signing, verifying, published: { ...jwk, use: "sig", alg: ALGORITHM, kid } };
}
