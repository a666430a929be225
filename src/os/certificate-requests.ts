import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import * as x509 from "@peculiar/x509";
import {
  ALGORITHM,
  CLOCK_SKEW_MS,
  DAY_MS,
  exportKey,
  importSigningKey,
  isIpAddress,
  pem,
  serialNumber,
  type KeyPair,
} from "./certificates.ts";
import { NODES_GROUP, PEER_SERVER_NAME, SERVERS_GROUP } from "./peer/node-link.ts";

/** A request for an ECDSA P-256 key is under 1 KiB. */
export const MAX_REQUEST_CHARACTERS = 8 * 1024;
/** `system:node:` and the longest node name there is (253). */
export const MAX_NAME_CHARACTERS = 320;
export const PEER_LIFETIME_DAYS = 365;

export type CertificateUsage = "server" | "client";

/** What the issuer decides; nothing but the public key is taken from the request. */
export interface IssueOptions {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly usages: readonly CertificateUsage[];
  readonly days: number;
  readonly nowMs: number;
}

export interface PeerCertificateOptions {
  readonly names: readonly string[];
  readonly nowMs: number;
  /** {@link PEER_LIFETIME_DAYS} unless given. */
  readonly lifetimeMs?: number;
}

/** A request that must not be granted: not one, not signed by its own key, or another algorithm. */
export class CertificateRequestError extends Error {
  override readonly name = "CertificateRequestError";
}

/** A new ECDSA P-256 private key, PEM (PKCS #8). */
export async function createPrivateKey(): Promise<string> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  return exportKey(keys.privateKey);
}

/** A certificate request (PKCS #10, PEM) that proves possession of the key. */
export async function createCertificateRequest(
  privateKey: string,
  subject: { readonly commonName: string },
): Promise<string> {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: new x509.Name([{ CN: [subject.commonName] }]),
    keys: {
      privateKey: await importSigningKey(privateKey),
      publicKey: await crypto.subtle.importKey("spki", new Uint8Array(spki), ALGORITHM, true, [
        "verify",
      ]),
    },
    signingAlgorithm: ALGORITHM,
  });
  return `${request.toString("pem")}\n`;
}

/** Issues a certificate, PEM, for the key of a request. Throws {@link CertificateRequestError}. */
export async function issueFromRequest(
  ca: KeyPair,
  request: string,
  options: IssueOptions,
): Promise<string> {
  const publicKey = await requestedKey(request);
  const issuer = new x509.X509Certificate(ca.certificate);
  const notAfter = Math.min(options.nowMs + options.days * DAY_MS, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: new x509.Name([
      { CN: [plainName(options.commonName)] },
      ...options.organizations.map((organization) => ({ O: [plainName(organization)] })),
    ]),
    issuer: issuer.subject,
    // Of a certificate that lasts minutes an hour before would be most of its life.
    notBefore: new Date(options.nowMs - Math.min(CLOCK_SKEW_MS, (options.days * DAY_MS) / 10)),
    notAfter: new Date(notAfter),
    publicKey,
    signingKey: await importSigningKey(ca.privateKey),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(
        options.usages.map((usage) =>
          usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
        ),
      ),
      ...(options.names.length === 0 ? [] : [alternativeNames(options.names)]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return pem(certificate);
}

/** The identity of a server among its peers: what the member with this id shows. */
export function issueMemberCertificate(
  ca: KeyPair,
  request: string,
  memberId: number,
  options: PeerCertificateOptions,
): Promise<string> {
  const commonName = `kubun:member:${memberId}`;
  return issueFromRequest(ca, request, peerOptions(commonName, SERVERS_GROUP, options));
}

/** The identity of a worker node among its peers. */
export function issueNodeCertificate(
  ca: KeyPair,
  request: string,
  nodeName: string,
  options: PeerCertificateOptions,
): Promise<string> {
  const commonName = `system:node:${nodeName}`;
  return issueFromRequest(ca, request, peerOptions(commonName, NODES_GROUP, options));
}

function peerOptions(
  commonName: string,
  organization: string,
  options: PeerCertificateOptions,
): IssueOptions {
  return {
    commonName,
    organizations: [organization],
    names: [PEER_SERVER_NAME, ...options.names],
    usages: ["server", "client"],
    days: options.lifetimeMs === undefined ? PEER_LIFETIME_DAYS : options.lifetimeMs / DAY_MS,
    nowMs: options.nowMs,
  };
}

/** What was asked for, by who has the key. Throws {@link CertificateRequestError}. */
export async function genuineRequest(request: string): Promise<x509.Pkcs10CertificateRequest> {
  if (request.length > MAX_REQUEST_CHARACTERS) {
    throw new CertificateRequestError(
      `the request has ${request.length} characters, at most ${MAX_REQUEST_CHARACTERS} are taken`,
    );
  }
  let parsed: x509.Pkcs10CertificateRequest;
  let genuine: boolean;
  try {
    parsed = new x509.Pkcs10CertificateRequest(request);
    genuine = await parsed.verify();
  } catch (error) {
    throw new CertificateRequestError(`not a certificate request: ${String(error)}`);
  }
  if (!genuine) throw new CertificateRequestError("the request is not signed by its own key");
  return parsed;
}

async function requestedKey(request: string): Promise<x509.PublicKey> {
  const parsed = await genuineRequest(request);
  const algorithm: { name: string; namedCurve?: string } = parsed.publicKey.algorithm;
  if (algorithm.name !== ALGORITHM.name || algorithm.namedCurve !== ALGORITHM.namedCurve) {
    throw new CertificateRequestError(
      `the key is ${algorithm.name} ${algorithm.namedCurve ?? ""}, allowed is ECDSA P-256`,
    );
  }
  return parsed.publicKey;
}

/** Names are read back out of certificates as text: nothing in them may look like another one. */
function plainName(name: string): string {
  if (name.length > MAX_NAME_CHARACTERS || !/^[A-Za-z0-9][A-Za-z0-9:._-]*$/.test(name)) {
    throw new CertificateRequestError(
      `${JSON.stringify(name)} cannot be in a certificate: allowed are letters, digits and :._-`,
    );
  }
  return name;
}

function alternativeNames(names: readonly string[]): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension(
    [...new Set(names)].map((value) =>
      isIpAddress(value) ? { type: "ip" as const, value } : { type: "dns" as const, value },
    ),
  );
}
