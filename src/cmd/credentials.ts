import { existsSync, readFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { certificateCovers, writeFileAtomically } from "../os/index.ts";
import type { KeyPair } from "../os/index.ts";
import type { DataDirectory } from "./data-directory.ts";

export interface Credentials {
  /** The cluster's authority: what clients trust, and what signs for machines that join. */
  readonly ca: KeyPair;
  readonly server: KeyPair;
  readonly adminToken: string;
}

export interface CredentialOptions {
  /** Names and addresses the server certificate must cover. */
  readonly names: readonly string[];
  readonly nowMs: number;
}

const PRIVATE_MODE = 0o600;
const TOKEN_BYTES = 32;
/** A server certificate with less than this left is replaced at the next start. */
const RENEW_BEFORE_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Reads the cluster's keys, making what is missing: an authority and a token at the first start,
 * a server certificate again when its names or its lifetime no longer fit.
 */
export async function ensureCredentials(
  directory: DataDirectory,
  options: CredentialOptions,
): Promise<Credentials> {
  const ca = await ensureAuthority(directory, options.nowMs);
  const server = await ensureServerCertificate(directory, ca, options);
  return { ca, server, adminToken: ensureToken(directory) };
}

/**
 * A founder's identity among the other servers: made anew when its lifetime no longer fits, or when
 * it is of another member.
 */
export async function ensurePeerIdentity(
  directory: DataDirectory,
  ca: KeyPair,
  options: { readonly memberId: number; readonly nowMs: number },
): Promise<KeyPair> {
  const existing = readPair(directory, "peer");
  const { memberId, nowMs } = options;
  const valid =
    existing !== undefined &&
    certificateCovers(existing.certificate, {
      names: [],
      commonName: `kubun:member:${memberId}`,
      ca: ca.certificate,
      untilMs: nowMs + RENEW_BEFORE_MS,
    });
  if (valid) return existing;
  const { createCertificateRequest, createPrivateKey, issueMemberCertificate } =
    await import("../os/certificate-requests.ts");
  const privateKey = await createPrivateKey();
  const request = await createCertificateRequest(privateKey, { commonName: "kubun" });
  const named = { names: [], nowMs };
  const certificate = await issueMemberCertificate(ca, request, memberId, named);
  return writePair(directory, "peer", { privateKey, certificate });
}

/** Every name under which this machine's own clients may reach the server. */
export function serverNames(options: {
  bindAddress: string;
  advertiseAddress: string;
  kubernetesServiceIp: string;
  additional: readonly string[];
}): string[] {
  const wildcard = options.bindAddress === "0.0.0.0" || options.bindAddress === "::";
  const names = [
    "localhost",
    "127.0.0.1",
    "::1",
    hostname().toLowerCase(),
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    options.kubernetesServiceIp,
    options.advertiseAddress,
    ...(wildcard ? ownAddresses() : [options.bindAddress]),
    ...options.additional,
  ];
  return [...new Set(names)];
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => address.family === "IPv4")
    .map((address) => address.address);
}

async function ensureAuthority(directory: DataDirectory, nowMs: number): Promise<KeyPair> {
  const existing = readPair(directory, "ca");
  if (existing !== undefined) return existing;
  // The X.509 library is needed once in a cluster's life, so that later starts do not load it.
  const { createCertificateAuthority } = await import("../os/certificates.ts");
  return writePair(directory, "ca", await createCertificateAuthority(nowMs));
}

async function ensureServerCertificate(
  directory: DataDirectory,
  ca: KeyPair,
  options: CredentialOptions,
): Promise<KeyPair> {
  const existing = readPair(directory, "server");
  const covers =
    existing !== undefined &&
    certificateCovers(existing.certificate, {
      names: options.names,
      ca: ca.certificate,
      untilMs: options.nowMs + RENEW_BEFORE_MS,
    });
  if (covers) return existing;
  const { issueServerCertificate } = await import("../os/certificates.ts");
  const issued = await issueServerCertificate({ ca, names: options.names, nowMs: options.nowMs });
  return writePair(directory, "server", issued);
}

function ensureToken(directory: DataDirectory): string {
  const path = join(directory.tls, "admin.token");
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const token = newToken();
  writeFileAtomically(path, `${token}\n`, { mode: PRIVATE_MODE });
  return token;
}

/** A bearer token: 256 random bits in hexadecimal. */
export function newToken(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES))).toString("hex");
}

function readPair(directory: DataDirectory, name: string): KeyPair | undefined {
  const certificate = join(directory.tls, `${name}.crt`);
  const privateKey = join(directory.tls, `${name}.key`);
  if (!existsSync(certificate) || !existsSync(privateKey)) return undefined;
  return {
    certificate: readFileSync(certificate, "utf8"),
    privateKey: readFileSync(privateKey, "utf8"),
  };
}

function writePair(directory: DataDirectory, name: string, pair: KeyPair): KeyPair {
  // The key first: a certificate without its key would look complete after a crash in between.
  writeFileAtomically(join(directory.tls, `${name}.key`), pair.privateKey, { mode: PRIVATE_MODE });
  writeFileAtomically(join(directory.tls, `${name}.crt`), pair.certificate, {
    mode: PRIVATE_MODE,
  });
  return pair;
}
