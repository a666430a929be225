import { unauthorized } from "../apimachinery/index.ts";
import type { Clock } from "../lib/index.ts";
import type { Authenticator } from "./authenticator.ts";
import { AUTHENTICATED, type User } from "./user.ts";

/** The certificate that a client showed in the handshake of its connection. */
export interface ClientCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly validFromMs: number;
  readonly validToMs: number;
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly hash: string;
  /** Why the cluster's authority does not vouch for it; undefined when it does. */
  readonly fault: string | undefined;
}

/** Names of machines: at the API they are known by credentials that can be taken away. */
const MACHINE_PREFIXES = ["kubun:", "system:node:"];
const CREDENTIAL_ID = "authentication.kubernetes.io/credential-id";

/**
 * Knows clients by their certificates: the common name is the user, the organizations are his
 * groups. A certificate goes before a token, as in Kubernetes; one that is not valid leaves the
 * decision to `others`, and throws 401 where they know nobody. Its dates are looked at with each
 * request: connections may be older.
 */
export function certificateAuthenticator(options: {
  readonly certificateOf: (request: Request) => ClientCertificate | undefined;
  readonly others: Authenticator;
  readonly clock: Clock;
}): Authenticator {
  const { certificateOf, others, clock } = options;
  return {
    authenticate(request) {
      const certificate = certificateOf(request);
      // A certificate without a name says nothing about anybody.
      if (certificate === undefined || certificate.commonName === "") {
        return others.authenticate(request);
      }
      if (isValid(certificate, clock.now())) return userOf(certificate);
      const known = others.authenticate(request);
      return known instanceof Promise ? known.then(knownOrRefused) : knownOrRefused(known);
    },
  };
}

function isValid(certificate: ClientCertificate, nowMs: number): boolean {
  const { commonName, fault, validFromMs, validToMs } = certificate;
  if (MACHINE_PREFIXES.some((prefix) => commonName.startsWith(prefix))) return false;
  return fault === undefined && validFromMs <= nowMs && nowMs <= validToMs;
}

function userOf({ commonName, organizations, hash }: ClientCertificate): User {
  const extra = { [CREDENTIAL_ID]: [`X509SHA256=${hash}`] };
  return { name: commonName, groups: [...organizations, AUTHENTICATED], extra };
}

function knownOrRefused(known: User | undefined): User {
  if (known === undefined) throw unauthorized();
  return known;
}
