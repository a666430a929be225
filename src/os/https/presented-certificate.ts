import type { Socket } from "bun";

/** A client's certificate, as the handshake of its connection showed it. */
export interface PresentedCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly validFromMs: number;
  readonly validToMs: number;
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly hash: string;
  /** Why the authority does not vouch for it; undefined when it does. */
  readonly fault: string | undefined;
}

const CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2";
const ANY_USE = "2.5.29.37.0";

/** Undefined for a client that showed none. `error` is what the handshake found wrong with it. */
export function presentedCertificate(
  socket: Socket<unknown>,
  error: Error | null | undefined,
): PresentedCertificate | undefined {
  const certificate = socket.getPeerCertificate();
  const subject: Readonly<Record<string, unknown>> | undefined = certificate?.subject;
  if (subject === undefined) return undefined;
  const [commonName = ""] = textsOf(subject["CN"]);
  // Who says nothing about its uses may be used for all (RFC 5280 section 4.2.1.12).
  const uses: readonly string[] = certificate.ext_key_usage ?? [];
  const forClients = uses.length === 0 || uses.some((use) => isForClients(use));
  return {
    commonName,
    organizations: textsOf(subject["O"]),
    validFromMs: Date.parse(certificate.valid_from),
    validToMs: Date.parse(certificate.valid_to),
    hash: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    fault: error?.message ?? (forClients ? undefined : "it is not for clients"),
  };
}

function isForClients(use: string): boolean {
  return use === CLIENT_AUTHENTICATION || use === ANY_USE;
}

function textsOf(value: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.filter((each): each is string => typeof each === "string");
}
