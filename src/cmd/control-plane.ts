import type { Hono } from "hono";
import {
  bootstrapTokenAuthenticator,
  certificateAuthenticator,
  createApiServer,
  createForwarding,
  createTokenKeys,
  firstAuthenticator,
  nodeAuthenticator,
  ServiceAccountTokens,
  tokenAuthenticator,
} from "../apiserver/index.ts";
import type {
  AuditSink,
  Authenticator,
  ClientCertificate,
  ConnectionUpgrader,
  Forwarding,
  NodeConnector,
  PeerIdentity,
  ProxyTransport,
} from "../apiserver/index.ts";
import { CommandError } from "../cli/index.ts";
import type { PortRange } from "../cli/index.ts";
import type { Client } from "../client/index.ts";
import { createDistributionApp } from "../images/index.ts";
import type { ImageStore } from "../images/index.ts";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";
import { ANY_SERVER, deriveClusterKeys } from "../os/index.ts";
import type { NodeLink } from "../os/index.ts";
import { assertReadable, createRegistry, SealedError, SecretCipher } from "../registry/index.ts";
import type { Registry } from "../registry/index.ts";
import type { MemberId, Store } from "../store/index.ts";
import { clusterCredentials, clusterIssuer, clusterTokens } from "./cluster-api.ts";
import { createRenewals } from "./certificate-renewals.ts";
import type { Component, ComponentTokens } from "./components.ts";
import type { Credentials } from "./credentials.ts";
import { imageAccess } from "./image-access.ts";
import { createClusterApp } from "./join-app.ts";
import type { ClusterApp } from "./join-app.ts";
import { RENEWAL_PATH } from "./join-wire.ts";
import type { Front } from "./listeners.ts";
import { isServer, memberName } from "./peer-access.ts";
import { serverReadings } from "./server-readings.ts";
import { GIT_VERSION, KUBERNETES_VERSION } from "./version.ts";

export interface ControlPlaneOptions {
  readonly store: Store;
  readonly images: ImageStore;
  readonly link: NodeLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly credentials: Credentials;
  readonly tokens: ComponentTokens;
  readonly nodeConnector: NodeConnector;
  readonly upgrader: ConnectionUpgrader;
  readonly proxyTransport: ProxyTransport;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly nodePortRange: PortRange;
  /** How many seconds pods stay on a node that fails, unless they say otherwise. */
  readonly defaultTolerations: { readonly notReady: number; readonly unreachable: number };
  /** How long the certificates of machines last; a year unless given. */
  readonly certificateLifetimeMs?: number | undefined;
  /** Where snapshots take shape before they are sent. */
  readonly snapshotDirectory: string;
  /** Is told of every request; nobody is without it. */
  readonly audit?: AuditSink | undefined;
}

export interface ControlPlane {
  readonly registry: Registry;
  /** The Kubernetes API as the cluster's own parts in this process are handed it. */
  readonly api: Fetch;
  readonly termFetch: Forwarding["termFetch"];
  /** What listens on the API's port: the Kubernetes API, the cluster's own, and its images. */
  readonly front: Front;
  /** What other servers ask of this one, over the peers' mutual TLS. */
  readonly peerFront: (request: Request, peer: PeerIdentity) => Promise<Response>;
  clientOf(component: Component, fetch?: Fetch): Client;
  /** Signs what Secrets of type kubernetes.io/service-account-token hold. */
  readonly signAccountToken: ServiceAccountTokens["signLegacy"];
}

/** Where requests came from that are answered here. */
type Addresses = WeakMap<Request, string>;
/** What their clients showed in the handshake, where they did. */
type Certificates = WeakMap<Request, ClientCertificate>;

/** Who is known by a token, and who by that or a certificate. */
function authenticators(
  { tokens, clock }: Pick<ControlPlaneOptions, "tokens" | "clock">,
  parts: {
    readonly present: Registry["present"];
    readonly accounts: ServiceAccountTokens;
    readonly certificates: Certificates;
  },
): { readonly tokenHolders: Authenticator; readonly authenticator: Authenticator } {
  const { present, accounts, certificates } = parts;
  const tokenHolders = firstAuthenticator(
    tokenAuthenticator(tokens.users),
    nodeAuthenticator(present),
    accounts,
    bootstrapTokenAuthenticator(present, clock),
  );
  const certificateOf = (request: Request): ClientCertificate | undefined =>
    certificates.get(request);
  const authenticator = certificateAuthenticator({ certificateOf, others: tokenHolders, clock });
  return { tokenHolders, authenticator };
}

/** The server tower, from the store up. */
export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { store, clock, random, logger, tokens } = options;
  const clusterKeys = deriveClusterKeys(options.credentials.ca.privateKey);
  const registry = createRegistry({
    store,
    clock,
    random,
    logger: logger.child({ room: "registry" }),
    serviceCidr: options.serviceCidr,
    nodePortRange: options.nodePortRange,
    defaultTolerations: options.defaultTolerations,
    accountTokens: "mounted",
    secretCipher: cipherFor(store, new SecretCipher(clusterKeys.secretsKey, random)),
  });
  const { present } = registry;
  const keys = createTokenKeys(clusterKeys.tokenKey);
  const accounts = new ServiceAccountTokens({ keys, present, clock });
  const certificates: Certificates = new WeakMap();
  const parts = { present, accounts, certificates };
  const { tokenHolders, authenticator } = authenticators(options, parts);
  const peer = peersOf(options);
  const addresses: Addresses = new WeakMap();
  const forwarding = createForwarding({
    store,
    app: createApi(options, { registry, authenticator, accounts, addresses }),
    peer,
    authenticator,
    hasCertificate: (request) => certificates.has(request),
    clock,
    logger: logger.child({ room: "apiserver" }),
  });
  const clientOf: ControlPlane["clientOf"] = (component, fetch = forwarding.front) =>
    tokens.clientOf(component, { fetch, clock });
  const credentials = clusterCredentials(clientOf("apiserver"));
  const issuer = clusterIssuer(options.credentials.ca, clock, {
    lifetimeMs: options.certificateLifetimeMs,
  });
  const renewals = createRenewals({ store, credentials, issuer, clock, logger });
  const cluster = createClusterApp({
    ...options,
    ca: options.credentials.ca,
    adminToken: options.credentials.adminToken,
    settings: {
      clusterCidr: options.clusterCidr,
      serviceCidr: options.serviceCidr,
      serviceNodePortRange: options.nodePortRange,
    },
    tokens: clusterTokens(registry, clock),
    credentials,
    issuer,
    authenticate: (request) => tokenHolders.authenticate(request),
    peer,
  });
  return {
    registry,
    api: forwarding.front,
    termFetch: (term) => forwarding.termFetch(term),
    ...fronts(options, {
      forwarding,
      cluster,
      renewals,
      authenticator: tokenHolders,
      addresses,
      certificates,
    }),
    clientOf,
    signAccountToken: (...given) => accounts.signLegacy(...given),
  };
}

/** Throws a CommandError when the state is of a cluster whose keys are not here. */
function cipherFor(store: Store, cipher: SecretCipher): SecretCipher {
  try {
    assertReadable(store, cipher);
  } catch (error) {
    if (!(error instanceof SealedError)) throw error;
    throw new CommandError(
      `${error.message}: put tls/ca.key and tls/ca.crt of the cluster that the state is from ` +
        "into this data directory (`kubun snapshot save FILE` keeps them in FILE.keys)",
    );
  }
  return cipher;
}

function createApi(
  options: ControlPlaneOptions,
  parts: {
    readonly registry: Registry;
    readonly authenticator: Authenticator;
    readonly accounts: ServiceAccountTokens;
    readonly addresses: Addresses;
  },
): Hono {
  const { store, clock, random, logger } = options;
  return createApiServer({
    registry: parts.registry,
    clock,
    random,
    logger: logger.child({ room: "apiserver" }),
    authenticator: parts.authenticator,
    serviceAccountTokens: parts.accounts,
    addressOf: (request) => parts.addresses.get(request),
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    nodeConnector: options.nodeConnector,
    upgrader: options.upgrader,
    proxyTransport: options.proxyTransport,
    readings: serverReadings(store),
    readiness: { leader: () => store.leadership.leader !== undefined },
    version: {
      major: KUBERNETES_VERSION.major,
      minor: KUBERNETES_VERSION.minor,
      gitVersion: GIT_VERSION,
      gitCommit: "",
      platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
    },
  });
}

/** The way to the peer port of another server, whose certificate must be that member's. */
function peersOf({ store, link }: ControlPlaneOptions): (member: MemberId) => Fetch | undefined {
  return (id) => {
    const member = store.membership.members().find((candidate) => candidate.id === id);
    if (member === undefined) return undefined;
    return link.fetchFrom(member.peerAddress, { ...ANY_SERVER, commonName: memberName(id) });
  };
}

function fronts(
  options: ControlPlaneOptions,
  parts: {
    readonly forwarding: Forwarding;
    readonly cluster: ClusterApp;
    readonly renewals: ControlPlane["peerFront"];
    readonly authenticator: Authenticator;
    readonly addresses: Addresses;
    readonly certificates: Certificates;
  },
): Pick<ControlPlane, "front" | "peerFront"> {
  const { images } = options;
  const { forwarding, cluster, renewals, authenticator, addresses, certificates } = parts;
  const distribution = createDistributionApp({
    images,
    authorize: async (request) =>
      imageAccess(await authenticator.authenticate(withBearer(request)), request.method),
  });
  return {
    front: async (request, address, certificate) => {
      const { pathname } = new URL(request.url);
      if (isImagePath(pathname)) return distribution.fetch(request);
      if (cluster.serves(pathname)) return cluster.fetch(request, { address, relayed: false });
      addresses.set(request, address);
      if (certificate !== undefined) certificates.set(request, certificate);
      return forwarding.front(request);
    },
    peerFront: async (request, peer) => {
      const { pathname } = new URL(request.url);
      if (pathname === RENEWAL_PATH && request.method === "POST") return renewals(request, peer);
      const fromServer = isServer(peer, options.store.membership);
      if (fromServer && cluster.serves(pathname)) return cluster.fetchFromServer(request);
      return forwarding.peerFront(request, peer);
    },
  };
}

/** The cluster's OCI registry. */
export function isImagePath(pathname: string): boolean {
  return pathname === "/v2" || pathname.startsWith("/v2/");
}

/** OCI clients know Basic credentials: any user name, and a bearer token as the password. */
function withBearer(request: Request): Request {
  const header = request.headers.get("authorization");
  if (header === null || !header.startsWith("Basic ")) return request;
  const decoded = Buffer.from(header.slice("Basic ".length), "base64").toString("utf8");
  const token = decoded.slice(decoded.indexOf(":") + 1);
  return new Request(request.url, { headers: { authorization: `Bearer ${token}` } });
}
