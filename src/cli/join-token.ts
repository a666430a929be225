/** What lets a machine join: who to trust, and a proof that the cluster invited it. */
export interface JoinToken {
  /** The first 32 hexadecimal digits of the SHA-256 of the authority's certificate (DER). */
  readonly caHash: string;
  /** Public: names the token in lists. Six characters of [a-z0-9]. */
  readonly id: string;
  /** Sixteen characters of [a-z0-9]; never logged. */
  readonly secret: string;
}

/** "K1" says how the rest is to be read. */
const PATTERN = /^K1\.([0-9a-f]{32})\.([a-z0-9]{6})\.([a-z0-9]{16})$/;

/** Reads `K1.<ca hash>.<id>.<secret>`; undefined when it is anything else. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const [, caHash, id, secret] = PATTERN.exec(text) ?? [];
  if (caHash === undefined || id === undefined || secret === undefined) return undefined;
  return { caHash, id, secret };
}

export function formatJoinToken(token: JoinToken): string {
  return `K1.${token.caHash}.${token.id}.${token.secret}`;
}

/** What a request to join carries as its bearer token: the authority's hash is not sent along. */
export function bearerOf(token: JoinToken): string {
  return `${token.id}.${token.secret}`;
}
