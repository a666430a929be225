import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface IssueServerOptions {
  readonly ca: KeyPair;
  /** DNS names and IP addresses the server answers to. */
  readonly names: readonly string[];
  readonly nowMs: number;
  /** A year unless given. */
  readonly lifetimeMs?: number;
}

export const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
export const DAY_MS = 24 * 60 * 60 * 1000;
const CA_LIFETIME_DAYS = 3650;
const SERVER_LIFETIME_DAYS = 365;
/** Clocks of a cluster differ: a certificate is valid from a little before it was made. */
export const CLOCK_SKEW_MS = 60 * 60 * 1000;
const SERIAL_BYTES = 16;

/** Makes the cluster's certificate authority: ECDSA P-256, ten years, may sign only leaves. */
export async function createCertificateAuthority(nowMs: number): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=kubun-ca@${Math.floor(nowMs / 1000)}`,
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(nowMs + CA_LIFETIME_DAYS * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign |
          x509.KeyUsageFlags.cRLSign |
          x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), privateKey: await exportKey(keys.privateKey) };
}

/** Issues a server certificate for the given names. */
export async function issueServerCertificate(options: IssueServerOptions): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(options.ca.certificate);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const { nowMs, lifetimeMs = SERVER_LIFETIME_DAYS * DAY_MS } = options;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: "CN=kubun-apiserver",
    issuer: issuer.subject,
    notBefore: new Date(nowMs - Math.min(CLOCK_SKEW_MS, lifetimeMs / 10)),
    notAfter: new Date(Math.min(nowMs + lifetimeMs, issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey: await importSigningKey(options.ca.privateKey),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        options.names.map((value) =>
          isIpAddress(value) ? { type: "ip" as const, value } : { type: "dns" as const, value },
        ),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certificate: pem(certificate), privateKey: await exportKey(keys.privateKey) };
}

export function isIpAddress(name: string): boolean {
  return name.includes(":") || /^\d+(\.\d+){3}$/.test(name);
}

/** 128 random bits, as hex. */
export function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  // RFC 5280 section 4.1.2.2: a serial number is positive, so its first bit stays clear.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString("hex");
}

export function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

export async function exportKey(key: CryptoKey): Promise<string> {
  const encoded = Buffer.from(await crypto.subtle.exportKey("pkcs8", key)).toString("base64");
  const lines = encoded.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}

export async function importSigningKey(privateKey: string): Promise<CryptoKey> {
  const encoded = privateKey.replace(/-----[A-Z ]+-----/g, "").replace(/\s/g, "");
  return crypto.subtle.importKey("pkcs8", Buffer.from(encoded, "base64"), ALGORITHM, false, [
    "sign",
  ]);
}
