import { isIPv4 } from "node:net";
import type { ServerEndpoint } from "../apiserver/index.ts";
import type { ServerFlags } from "../cli/index.ts";
import { NODES } from "../client/index.ts";
import { REPLICATION_PATH } from "../images/index.ts";
import { PEER_ADDRESS_ANNOTATION } from "../kubelet/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Fetch } from "../lib/index.ts";
import { hostOfNode } from "../os/index.ts";
import type { ClaimedRanges, KeyPair, NodeLink, RotatingFile } from "../os/index.ts";
import { createProxy } from "../proxy/index.ts";
import type { DnsAddress } from "../dns/index.ts";
import type { Proxy, ProxyPorts } from "../proxy/index.ts";
import type { Store } from "../store/index.ts";
import { openAuditLog } from "./audit-log.ts";
import { clientCertificates } from "./cluster-api.ts";
import { createComponentTokens } from "./components.ts";
import { createControlPlane, isImagePath } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";
import { readSettings, writeSettings } from "./data-directory.ts";
import type { DataDirectory, ServerRecord } from "./data-directory.ts";
import { openDoors } from "./doors.ts";
import type { Doors } from "./doors.ts";
import { chooseRanges, leaveRanges } from "./choose-ranges.ts";
import { openGround } from "./ground.ts";
import type { Ground } from "./ground.ts";
import { ensureIngressCertificate } from "./ingress-certificate.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { runLeaderWork } from "./leader-work.ts";
import { RemovedError } from "./removed-error.ts";
import { wishedPortOrAny } from "./listeners.ts";
import type { PortChoice } from "./listeners.ts";
import { admitKnownPeers, knownToServer } from "./known-peers.ts";
import { announceAddress, tellAddressWith } from "./member-address.ts";
import { askMembersWith, watchForRemoval } from "./member-removal.ts";
import { isKubeletPath, isServer, tunnelsOver } from "./peer-access.ts";
import { createProxyTransport } from "./proxy-transport.ts";
import { askNode } from "./node-api.ts";
import { dnsRecord, dnsSettings, startNodeDns, zoneOptions } from "./node-dns.ts";
import { removeContainerPods } from "./container-runtime.ts";
import { createLocalNode, maxProxyConnections } from "./node.ts";
import type { LocalNode } from "./node.ts";
import { proxySettings, proxyUrls, recordProcess, removeRecord } from "./process-record.ts";
import { agreedFlags, assumeIdentity } from "./server-identity.ts";
import { portChoices } from "./server-ports.ts";
import { keepServerCertificates } from "./server-certificates.ts";
import { openServerImages } from "./server-images.ts";
import type { ServerImages } from "./server-images.ts";
import { openServerStore } from "./server-store.ts";
import { createSuccessorApi } from "./successor-api.ts";
import type { Successor } from "./successor-api.ts";

export interface RunningCluster {
  readonly directory: DataDirectory;
  readonly record: ServerRecord;
  /** Resolves when the state can be written no more; the process should then end. */
  readonly failed: Promise<Error>;
  /** Ends the server. Pods run on for the next server, unless they are to end too. */
  stop(options: { pods: "keep" | "end" }): Promise<void>;
  /**
   * Gives the state to another process: nothing of the data directory is used from here on. Traffic
   * goes on by the last table, and requests of the API wait for the successor.
   */
  yieldState(successor: Successor): Promise<void>;
  /** Leaves the traffic to the successor as well. Resolves when nothing is listened on. */
  retire(): Promise<void>;
  /** Cuts what is left of the traffic. */
  endTraffic(): void;
  /** Connections of clients that are still served here. */
  readonly open: number;
}

export interface StartOptions {
  /** Whether a predecessor still listens where this server listens now, and is about to leave. */
  readonly sharesPorts: () => boolean;
}

interface Parts extends LocalNode {
  readonly proxy: Proxy;
}

const DEFAULT_TOLERATION_SECONDS = 300;

/** Puts a whole server together in this process, from the disk up to the proxy. */
export async function startCluster(
  given: ServerFlags,
  { sharesPorts }: StartOptions = { sharesPorts: () => false },
): Promise<RunningCluster> {
  const ground = openGround(given);
  const identity = await assumeIdentity(given, ground);
  const flags = agreedFlags(given, identity.joined);
  const ranges = await chooseRanges(flags, ground, identity.joined?.settings);
  const doors = await openDoors(flags, ground, identity, ranges, {
    sharesPorts: sharesPorts(),
  });
  const failed = Promise.withResolvers<Error>();
  const store = await openServerStore(flags, ground, identity, doors, failed.resolve);
  const running = new AbortController();
  const traffic = new AbortController();
  const answering = new AbortController();
  const audit = await openAuditLog(flags, ground);
  const server: Server = {
    flags,
    ground,
    ranges,
    doors,
    store,
    audit,
    signal: running.signal,
    traffic: traffic.signal,
    answering: answering.signal,
    sharesPorts,
    way: {},
  };
  keepAccess(server);
  keepServerCertificates({
    ...ground,
    doors,
    memberId: identity.memberId,
    lifetimeMs: flags.clusterSigningDurationMs,
    signal: running.signal,
  });
  noteOthers(server);
  keepMembership(server, failed.resolve);
  const images = openServerImages(ground, store, doors.peers);
  const controlPlane = serveControlPlane(server, images, () => parts);
  const certificate = await ensureIngressCertificate(ground.directory, ground.clock.now());
  const parts = createParts(server, controlPlane, images, certificate);
  images.replication.start(running.signal);
  const reached = await Promise.race([
    startParts(server, controlPlane, parts),
    failed.promise.then((error) => Promise.reject(error)),
  ]);
  const record = recordServer(server, reached);
  return describeRunning({
    server,
    parts,
    images,
    running,
    traffic,
    answering,
    failed: failed.promise,
    record,
  });
}

/** What {@link RunningCluster} is made of. */
interface Running {
  readonly server: Server;
  readonly parts: Parts;
  readonly images: ServerImages;
  readonly running: AbortController;
  readonly traffic: AbortController;
  readonly answering: AbortController;
  readonly failed: Promise<Error>;
  readonly record: ServerRecord;
}

function describeRunning(given: Running): RunningCluster {
  const { server, parts, images, running, traffic, answering, failed, record } = given;
  const { ground, ranges, doors, store, audit } = server;
  return {
    directory: ground.directory,
    record,
    failed,
    async stop({ pods }) {
      if (pods === "end") await parts.kubelet.terminateAll();
      running.abort();
      traffic.abort();
      answering.abort();
      await Promise.all([parts.kubelet.drained(), parts.proxy.drained()]);
      if (pods === "end") {
        const endpoint = server.flags.containerRuntimeEndpoint;
        await removeContainerPods(parts.runtime, { endpoint, logger: ground.logger });
      }
      parts.runtime.shutdown();
      await doors.api.stop();
      await images.store.close();
      await store.close();
      await audit?.close();
      removeRecord(ground);
      ranges.release();
      if (pods === "end") await leaveRanges(ground.directory);
    },
    async yieldState(successor) {
      await leaveApi(server, successor);
      running.abort();
      await parts.kubelet.drained();
      parts.runtime.shutdown({ gates: "keep" });
      await images.store.close();
      await store.close();
      await audit?.close();
      ranges.release();
    },
    async retire() {
      parts.proxy.retire();
      await sleep(ground.clock, QUEUE_SETTLE_MS);
      parts.proxy.stopListening();
      answering.abort();
      doors.api.leave();
    },
    endTraffic: () => traffic.abort(),
    get open() {
      return parts.proxy.open + doors.api.pending;
    },
  };
}

/** How long requests that are being answered keep the state from being given away. */
const WRITES_SETTLE_MS = 250;
/** Longer than a handshake takes that began before new connections were led to the successor. */
const QUEUE_SETTLE_MS = 500;
const SETTLE_POLL_MS = 10;

/** Requests wait for the successor from now on; resolves when those under way are answered. */
async function leaveApi({ doors, ground, way }: Server, successor: Successor): Promise<void> {
  const { ca, adminToken } = doors.credentials;
  const url = apiUrl(ground, doors);
  const api = createSuccessorApi({ ...successor, url, ca: ca.certificate });
  doors.api.serve(api.front);
  way.component = api.as(adminToken);
  await settled(() => doors.api.pending, ground.clock, WRITES_SETTLE_MS);
}

/** Watches have no end to wait for: they end with the store, as at every stop. */
async function settled(pending: () => number, clock: Clock, withinMs: number): Promise<void> {
  const untilMs = clock.monotonic() + withinMs;
  while (pending() > 0 && clock.monotonic() < untilMs) await sleep(clock, SETTLE_POLL_MS);
}

/** What every step of the start stands on. */
interface Server {
  readonly flags: ServerFlags;
  readonly ground: Ground;
  readonly ranges: ClaimedRanges;
  readonly doors: Doors;
  readonly store: Store;
  readonly audit: RotatingFile | undefined;
  readonly signal: AbortSignal;
  /** What traffic needs lives longer than the rest when another process takes over. */
  readonly traffic: AbortSignal;
  /** Ends when the DNS answers here no more. */
  readonly answering: AbortSignal;
  readonly sharesPorts: StartOptions["sharesPorts"];
  /** How the proxy asks the API once the state is a successor's. */
  readonly way: { component?: Fetch };
}

/** Writes down how this server is reached; from here on the directory is a member's. */
function keepAccess({ ground, ranges, doors }: Server): void {
  const { directory, nodeName } = ground;
  writeSettings(directory, {
    // Not those of the ground: they are from before a reset, which is noted there.
    ...readSettings(directory),
    httpsPort: doors.api.port,
    peerPort: doors.peers.port,
    nodeName,
    clusterCidr: ranges.clusterCidr,
    serviceCidr: ranges.serviceCidr,
  });
  writeKubeconfig(directory.kubeconfig, {
    server: apiUrl(ground, doors),
    ca: doors.credentials.ca.certificate,
    token: doors.credentials.adminToken,
  });
}

/** Remembers that the ranges are also those of other servers. */
function noteOthers({ ground, store, signal }: Server): void {
  const { directory } = ground;
  const look = (): void => {
    const settings = readSettings(directory);
    if (store.membership.members().length < 2 || settings.shared === true) return;
    writeSettings(directory, { ...settings, shared: true });
  };
  signal.addEventListener("abort", store.membership.onChange(look));
  look();
}

/**
 * What only the others can know or be told: that this server was removed while it was down, and
 * that it listens elsewhere than before.
 */
function keepMembership(server: Server, onFailed: (error: Error) => void): void {
  const { flags, ground, doors, store, signal } = server;
  // Etcd lists a server only while it runs.
  if (flags.datastoreEndpoint !== undefined) return;
  const { ca, adminToken } = doors.credentials;
  const { clock, logger } = ground;
  void watchForRemoval({
    store,
    ask: askMembersWith({ ca: ca.certificate, adminToken, logger }),
    clock,
    signal,
    onRemoved: () => onFailed(new RemovedError(store.membership.self)),
  });
  void announceAddress({
    store,
    ports: { peer: doors.peers.port, api: doors.api.port },
    tell: tellAddressWith({ ca: ca.certificate, adminToken, logger }),
    clock,
    signal,
  });
}

function apiUrl({ advertiseAddress }: Ground, { api }: Doors): string {
  return `https://${advertiseAddress}:${api.port}`;
}

/** Builds the server tower and answers requests from here on. */
function serveControlPlane(server: Server, images: ServerImages, parts: () => Parts): ControlPlane {
  const { flags, ground, ranges, doors, store } = server;
  const { nodeName, directory } = ground;
  const tokens = createComponentTokens({ adminToken: doors.credentials.adminToken, nodeName });
  const controlPlane = createControlPlane({
    ...ground,
    store,
    images: images.store,
    link: doors.peers,
    credentials: doors.credentials,
    tokens,
    nodeConnector: (name) =>
      name === nodeName
        ? (request) => askNode(parts(), request)
        : kubeletOf(name, controlPlane, doors.peers),
    proxyTransport: createProxyTransport(directory, () => parts().proxy, doors.api),
    upgrader: doors.api,
    clusterCidr: ranges.clusterCidr,
    serviceCidr: ranges.serviceCidr,
    nodePortRange: flags.serviceNodePortRange,
    defaultTolerations: {
      notReady: flags.defaultNotReadyTolerationSeconds ?? DEFAULT_TOLERATION_SECONDS,
      unreachable: flags.defaultUnreachableTolerationSeconds ?? DEFAULT_TOLERATION_SECONDS,
    },
    snapshotDirectory: directory.snapshots,
    audit: server.audit,
    certificateLifetimeMs: flags.clusterSigningDurationMs,
  });
  doors.api.serve(controlPlane.front);
  doors.peers.serveHttp(async (request, peer) => {
    const { pathname } = new URL(request.url);
    if (isServer(peer, store.membership)) {
      if (isKubeletPath(pathname)) return askNode(parts(), request);
      if (pathname.startsWith(REPLICATION_PATH)) return images.replication.serve(request);
      if (isImagePath(pathname)) return images.forServers(request);
    }
    return controlPlane.peerFront(request, peer);
  });
  void admitKnownPeers({
    link: doors.peers,
    isKnown: knownToServer(store.membership, controlPlane.registry.present),
    clock: ground.clock,
    signal: server.signal,
  });
  doors.peers.serveTunnel((target, peer) => parts().placeOf(target, peer));
  return controlPlane;
}

/** Where a node answers the others, as its Node object tells. */
function peerAddressOf(nodeName: string, { registry }: ControlPlane): string | undefined {
  const node = registry.present.find(NODES, "", nodeName);
  return node?.metadata.annotations?.[PEER_ADDRESS_ANNOTATION];
}

/** The kubelet's API on another node. */
function kubeletOf(
  nodeName: string,
  controlPlane: ControlPlane,
  link: NodeLink,
): Fetch | undefined {
  const address = peerAddressOf(nodeName, controlPlane);
  return address === undefined ? undefined : link.fetchFrom(address, hostOfNode(nodeName));
}

/** This machine's node agent and proxy, not started yet. */
function createParts(
  server: Server,
  controlPlane: ControlPlane,
  images: ServerImages,
  certificate: KeyPair,
): Parts {
  const { flags, ground, doors, store } = server;
  const { clock, logger, nodeName, advertiseAddress } = ground;
  const node = createLocalNode({
    ...ground,
    images: images.store,
    registry: images.registry,
    client: controlPlane.clientOf("kubelet"),
    nodeAddress: flags.nodeIp ?? advertiseAddress,
    ...(flags.maxPods === undefined ? {} : { maxPods: flags.maxPods }),
    peerAddress: `${ground.peerHost}:${doors.peers.port}`,
    ranges: server.ranges,
    ...(flags.containerRuntimeEndpoint === undefined
      ? {}
      : { containerRuntimeEndpoint: flags.containerRuntimeEndpoint }),
    ...(flags.clusterDomain === undefined ? {} : { clusterDomain: flags.clusterDomain }),
    proxy: () => proxy,
  });
  const { http, ingressHttps } = portChoices(flags, ground.settings);
  const portOf = (choice: PortChoice): number =>
    server.sharesPorts() ? choice.port : wishedPortOrAny(flags.bindAddress, choice);
  const api: Fetch = (request) => (server.way.component ?? controlPlane.api)(request);
  const proxy: Proxy = createProxy({
    client: controlPlane.clientOf("proxy", api),
    secrets: controlPlane.clientOf("kubelet", api),
    clock,
    logger: logger.child({ room: "proxy" }),
    // Of pods that a successor runs only the addresses are known here.
    endpointSocket: (ip, port) =>
      server.way.component === undefined ? node.runtime.endpoint(ip, port) : undefined,
    sharesPorts: server.sharesPorts,
    remote: { nodeName, dialer: tunnelsOver(doors.peers) },
    nodePortAddress: flags.bindAddress,
    ingress: { hostname: flags.bindAddress, port: portOf(http) },
    ingressTls: {
      port: portOf(ingressHttps),
      fallback: certificate,
    },
    ingressAddress: advertiseAddress,
    zone: zoneOptions(flags.clusterDomain, server.ranges),
    publishesIngressStatus: () => store.leadership.self,
    maxConnections: maxProxyConnections(),
  });
  return { ...node, proxy };
}

/** Where this node's traffic comes in. */
interface Reached {
  readonly ports: ProxyPorts;
  readonly dns: DnsAddress | undefined;
}

/** Starts what works on its own; gives the ports of Ingress and the place of the DNS. */
async function startParts(
  server: Server,
  controlPlane: ControlPlane,
  { proxy, kubelet, runtime }: Parts,
): Promise<Reached> {
  const { ground, ranges, doors, store, signal } = server;
  await runtime.start();
  await runLeaderWork({
    ...ground,
    store,
    registry: controlPlane.registry,
    termFetch: controlPlane.termFetch,
    clientOf: (component, fetch) => controlPlane.clientOf(component, fetch),
    clusterCidr: ranges.clusterCidr,
    rootCa: doors.credentials.ca.certificate,
    signAccountToken: controlPlane.signAccountToken,
    certificates: {
      sign: clientCertificates(doors.credentials.ca, ground.clock),
      maxLifetimeMs: server.flags.clusterSigningDurationMs,
    },
    nodeGraceMs: server.flags.nodeMonitorGracePeriodMs,
    servers: () => endpointsOf(store),
    signal,
  });
  const [ports] = await Promise.all([proxy.start(server.traffic), kubelet.start(signal)]);
  const dns = await startNodeDns({
    ground,
    proxy,
    serviceCidr: ranges.serviceCidr,
    bindAddress: server.flags.bindAddress,
    port: server.flags.dnsPort,
    sharesPorts: server.sharesPorts,
    signal: server.answering,
  });
  return { ports, dns };
}

/** Where the servers' APIs are, as far as nodes can reach them by address. */
function endpointsOf({ membership }: Store): ServerEndpoint[] {
  return membership.members().flatMap(({ role, apiAddress }) => {
    if (role === "witness" || apiAddress === "") return [];
    const { hostname, port } = new URL(apiAddress);
    return isIPv4(hostname) ? [{ address: hostname, port: Number(port) }] : [];
  });
}

function recordServer({ ground, doors }: Server, { ports, dns }: Reached): ServerRecord {
  const { directory, advertiseAddress } = ground;
  const reached = { ...proxyUrls(advertiseAddress, ports), ...dnsRecord(dns) };
  const record = recordProcess(ground, { server: apiUrl(ground, doors), ...reached });
  writeSettings(directory, {
    ...readSettings(directory),
    ...proxySettings(ports),
    ...dnsSettings(dns),
  });
  return record;
}
