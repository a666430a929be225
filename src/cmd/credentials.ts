import { createPrivateKey as readPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { certificateCovers, writeFileAtomically } from "../os/index.ts";
import type { KeyPair } from "../os/index.ts";
import type { DataDirectory } from "./data-directory.ts";
import { isWorn } from "./keep-certificate.ts";

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
  /** Of what is issued; a year unless given. */
  readonly lifetimeMs?: number | undefined;
}

const PRIVATE_MODE = 0o600;
const TOKEN_BYTES = 32;

/**
 * Reads the cluster's keys, making what is missing: an authority and a token at the first start,
 * a server certificate again when its names or its lifetime no longer fit.
 */
export async function ensureCredentials(
  directory: DataDirectory,
  options: CredentialOptions,
): Promise<Credentials> {
  const ca = await ensureAuthority(directory, options.nowMs);
  const server = await ensureServerIdentity(directory, ca, options);
  return { ca, server, adminToken: ensureToken(directory) };
}

/**
 * A server's identity among the other servers: made anew when a third of its life is left, or when
 * it is of another member.
 */
export async function ensurePeerIdentity(
  directory: DataDirectory,
  ca: KeyPair,
  options: Omit<CredentialOptions, "names"> & { readonly memberId: number },
): Promise<KeyPair> {
  const existing = readPair(directory, "peer");
  const { memberId, nowMs } = options;
  const commonName = `kubun:member:${memberId}`;
  if (existing !== undefined && isFit(existing, ca, { names: [], commonName, nowMs })) {
    return existing;
  }
  return renewPeerIdentity(directory, ca, options);
}

/** Another key and certificate for this server among the others, written down. */
export async function renewPeerIdentity(
  directory: DataDirectory,
  ca: KeyPair,
  { memberId, nowMs, lifetimeMs }: Omit<CredentialOptions, "names"> & { readonly memberId: number },
): Promise<KeyPair> {
  const { createCertificateRequest, createPrivateKey, issueMemberCertificate } =
    await import("../os/certificate-requests.ts");
  const privateKey = await createPrivateKey();
  const request = await createCertificateRequest(privateKey, { commonName: "kubun" });
  const named = { names: [], nowMs, ...(lifetimeMs === undefined ? {} : { lifetimeMs }) };
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

/** What the API shows: made anew when a third of its life is left, or when it lacks a name. */
async function ensureServerIdentity(
  directory: DataDirectory,
  ca: KeyPair,
  options: CredentialOptions,
): Promise<KeyPair> {
  const existing = readPair(directory, "server");
  const { names, nowMs } = options;
  if (existing !== undefined && isFit(existing, ca, { names, nowMs })) return existing;
  return renewServerIdentity(directory, ca, options);
}

/** Another key and certificate for the API, written down. */
export async function renewServerIdentity(
  directory: DataDirectory,
  ca: KeyPair,
  { names, nowMs, lifetimeMs }: CredentialOptions,
): Promise<KeyPair> {
  const { issueServerCertificate } = await import("../os/certificates.ts");
  const lifetime = lifetimeMs === undefined ? {} : { lifetimeMs };
  return writePair(
    directory,
    "server",
    await issueServerCertificate({ ca, names, nowMs, ...lifetime }),
  );
}

/** Whether it may be used for longer: a crash between two writes leaves halves that do not fit. */
function isFit(
  { certificate, privateKey }: KeyPair,
  ca: KeyPair,
  options: { names: readonly string[]; commonName?: string; nowMs: number },
): boolean {
  const { names, commonName, nowMs } = options;
  if (isWorn(certificate, nowMs) || !isKeyOf(certificate, privateKey)) return false;
  const named = commonName === undefined ? { names } : { names, commonName };
  return certificateCovers(certificate, { ...named, ca: ca.certificate, untilMs: nowMs });
}

function isKeyOf(certificate: string, privateKey: string): boolean {
  return new X509Certificate(certificate).checkPrivateKey(readPrivateKey(privateKey));
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

/** A certificate and its key out of the directory; undefined when either is missing. */
export function readPair(directory: DataDirectory, name: string): KeyPair | undefined {
  const certificate = join(directory.tls, `${name}.crt`);
  const privateKey = join(directory.tls, `${name}.key`);
  if (!existsSync(certificate) || !existsSync(privateKey)) return undefined;
  return {
    certificate: readFileSync(certificate, "utf8"),
    privateKey: readFileSync(privateKey, "utf8"),
  };
}

export function writePair(directory: DataDirectory, name: string, pair: KeyPair): KeyPair {
  // The key first: a certificate without its key would look complete after a crash in between.
  writeFileAtomically(join(directory.tls, `${name}.key`), pair.privateKey, { mode: PRIVATE_MODE });
  writeFileAtomically(join(directory.tls, `${name}.crt`), pair.certificate, {
    mode: PRIVATE_MODE,
  });
  return pair;
}
