import { join } from "node:path";
import { nodeToken } from "../apiserver/index.ts";
import { CommandError } from "../cli/index.ts";
import type { AgentFlags } from "../cli/index.ts";
import { apiErrorFrom, createClient, createFailoverFetch, followServers } from "../client/index.ts";
import type { Client } from "../client/index.ts";
import { openImageStore } from "../images/index.ts";
import type { ImageStore } from "../images/index.ts";
import type { Fetch } from "../lib/index.ts";
import type { KeyPair, NodeLink } from "../os/index.ts";
import type { DnsAddress } from "../dns/index.ts";
import { createProxy } from "../proxy/index.ts";
import type { Proxy, ProxyPorts } from "../proxy/index.ts";
import type { IssuingServer } from "./ask-renewal.ts";
import { leaveRanges, useRanges } from "./choose-ranges.ts";
import { readSettings, writeSettings } from "./data-directory.ts";
import type { ServerRecord } from "./data-directory.ts";
import { openGround } from "./ground.ts";
import type { Ground } from "./ground.ts";
import { ensureIngressCertificate } from "./ingress-certificate.ts";
import { joinAsAgent } from "./join-cluster.ts";
import type { JoinedAgent } from "./join-cluster.ts";
import { ISSUERS_PATH, issuersSchema } from "./join-wire.ts";
import { wishedPortOrAny } from "./listeners.ts";
import type { PortChoice } from "./listeners.ts";
import { admitKnownPeers, knownToAgent } from "./known-peers.ts";
import { keepMachineCertificate } from "./machine-certificate.ts";
import { askNode } from "./node-api.ts";
import { dnsRecord, dnsSettings, startNodeDns, zoneOptions } from "./node-dns.ts";
import { removeContainerPods } from "./container-runtime.ts";
import { createLocalNode, maxProxyConnections } from "./node.ts";
import type { LocalNode } from "./node.ts";
import { findRunningServer } from "./running-cluster.ts";
import { hasServerCertificate, isKubeletPath, tunnelsOver } from "./peer-access.ts";
import { listenForPeers } from "./peer-listener.ts";
import { proxySettings, proxyUrls, recordProcess, removeRecord } from "./process-record.ts";
import { decided, portChoices } from "./server-ports.ts";
import type { PortChoices } from "./server-ports.ts";
import { ServersFile } from "./servers-file.ts";
import { untilSignalled } from "./until-signalled.ts";
import { VERSION } from "./version.ts";

export interface RunningAgent {
  readonly record: ServerRecord;
  readonly nodeName: string;
  /** Ends the agent. Pods run on for the next one, unless they are to end too. */
  stop(options: { pods: "keep" | "end" }): Promise<void>;
}

/** `kubun agent`: a worker node in the foreground until a signal ends it; its pods run on. */
export async function runAgent(
  flags: AgentFlags,
  options: { write: (text: string) => void },
): Promise<void> {
  const startedMs = performance.now();
  await untilSignalled({
    start: () => startAgent(flags),
    podsAtSignal: "keep",
    onReady({ record, nodeName }) {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(2);
      const { version, server, ingress } = record;
      const node = `kubun ${version} agent runs as node ${nodeName} (started in ${seconds} s)`;
      options.write([node, `server:  ${server}`, `ingress: ${ingress}`, ""].join("\n"));
    },
  });
}

/** Joins the cluster when that is not done yet, and puts a node together in this process. */
export async function startAgent(flags: AgentFlags): Promise<RunningAgent> {
  const ground = openGround(flags);
  refuseSecond(ground);
  const ports = portChoices(flags, ground.settings);
  const { joined, peerPort } = await becomeMember(flags, ground, ports.peer);
  const { clusterId, peer, ca } = joined;
  const where = { hostname: flags.bindAddress, choice: peerPort };
  const link = listenForPeers(ground, where, { clusterId, keyPair: peer, ca });
  const servers = new ServersFile(join(ground.directory.tls, "servers.json"), joined.servers);
  const running = new AbortController();
  const agent: Agent = { flags, ground, joined, link, servers, signal: running.signal };
  keepSettings(agent);
  await useRanges(joined.settings, ground);
  // At once, so that a second agent on this directory is refused while this one waits for servers.
  recordAgent(agent, { ingressPort: ports.http.port });
  const api = openApi(agent);
  const images = openImages(agent, api.fetch);
  const certificate = await ensureIngressCertificate(ground.directory, ground.clock.now());
  const { proxy, kubelet, runtime, placeOf } = createParts(agent, api, images, ports, certificate);
  link.serveHttp(async (request, peer) => {
    const { pathname } = new URL(request.url);
    if (!hasServerCertificate(peer)) return new Response("only servers may ask\n", { status: 403 });
    if (isKubeletPath(pathname)) return askNode({ kubelet, proxy }, request);
    return new Response("not found\n", { status: 404 });
  });
  link.serveTunnel(placeOf);
  await runtime.start();
  void keepMachineCertificate({
    ...ground,
    link,
    peer,
    ca,
    servers: (signal) => issuingServers(api.client, signal),
    signal: running.signal,
  });
  void admitKnownPeers({
    link,
    isKnown: knownToAgent({ ...ground, client: api.client, signal: running.signal }),
    clock: ground.clock,
    signal: running.signal,
  });
  followServers({
    ...ground,
    client: api.client,
    signal: running.signal,
    onChange: servers.replace,
  });
  const record = await startTraffic(agent, { proxy, kubelet });
  return {
    record,
    nodeName: joined.name,
    async stop({ pods }) {
      if (pods === "end") await kubelet.terminateAll();
      running.abort();
      await Promise.all([kubelet.drained(), proxy.drained()]);
      if (pods === "end") {
        const endpoint = flags.containerRuntimeEndpoint;
        await removeContainerPods(runtime, { endpoint, logger: ground.logger });
      }
      runtime.shutdown();
      await link.close();
      await images.close();
      removeRecord(ground);
      if (pods === "end") await leaveRanges(ground.directory);
    },
  };
}

/** Starts the node, its proxy and its DNS, and writes down where they are. */
async function startTraffic(
  agent: Agent,
  { proxy, kubelet }: Pick<LocalNode, "kubelet"> & { readonly proxy: Proxy },
): Promise<ServerRecord> {
  const { ground, signal } = agent;
  const [found] = await Promise.all([proxy.start(signal), kubelet.start(signal)]);
  const dns = await startNodeDns({
    sharesPorts: () => false,
    ground,
    proxy,
    serviceCidr: agent.joined.settings.serviceCidr,
    bindAddress: agent.flags.bindAddress,
    port: agent.flags.dnsPort,
    signal: signal,
  });
  const { directory } = ground;
  const places = { ...proxySettings(found), ...dnsSettings(dns) };
  writeSettings(directory, { ...readSettings(directory), ...places });
  return recordAgent(agent, found, dns);
}

/** What every step of the start stands on. */
interface Agent {
  readonly flags: AgentFlags;
  readonly ground: Ground;
  readonly joined: JoinedAgent;
  readonly link: NodeLink;
  readonly servers: ServersFile;
  readonly signal: AbortSignal;
}

function refuseSecond({ directory }: Ground): void {
  const running = findRunningServer(directory);
  if (running === undefined || running.pid === process.pid) return;
  throw new CommandError(`${directory.path} is in use by process ${running.pid}`);
}

/** Whoever lets a node in is told where it will listen. */
async function becomeMember(
  flags: AgentFlags,
  ground: Ground,
  wish: PortChoice,
): Promise<{ joined: JoinedAgent; peerPort: PortChoice }> {
  const first = ground.settings.peerPort === undefined;
  const peerPort = first ? decided(flags.bindAddress, wish, "--peer-port") : wish;
  const joined = await joinAsAgent({
    ...ground,
    join: flags.join,
    token: flags.token,
    name: ground.nodeName,
    peer: { host: ground.peerHost, port: peerPort.port },
  });
  return { joined, peerPort };
}

function keepSettings({ ground, joined, link }: Agent): void {
  const { clusterCidr, serviceCidr } = joined.settings;
  const known = { peerPort: link.port, nodeName: joined.name, clusterCidr, serviceCidr };
  writeSettings(ground.directory, { ...ground.settings, ...known });
}

/** The API by way of any server that answers, as this node. */
function openApi({ ground, joined, servers }: Agent): { client: Client; fetch: Fetch } {
  const { clock, random, logger } = ground;
  const failover = createFailoverFetch({
    servers: () => servers.list,
    fetchTo: (_server, request) => fetch(request, { tls: { ca: joined.ca } }),
    clock,
    random,
    logger: logger.child({ room: "client" }),
  });
  const token = nodeToken(joined.name, joined.nodeSecret);
  const userAgent = `kubun-agent/${VERSION}`;
  return {
    client: createClient({ fetch: failover, token, userAgent, clock }),
    fetch(request) {
      const headers = new Headers(request.headers);
      headers.set("authorization", `Bearer ${token}`);
      return failover(new Request(request, { headers }));
    },
  };
}

const UNAUTHORIZED = 401;

/** The servers that issue certificates, as any of them tells. */
async function issuingServers(
  client: Client,
  signal: AbortSignal,
): Promise<readonly IssuingServer[]> {
  const response = await client.raw(ISSUERS_PATH, { method: "GET", signal });
  if (response.status === UNAUTHORIZED) {
    throw new Error("the cluster does not know this node's key any more: was the node removed?");
  }
  if (!response.ok) throw await apiErrorFrom(response);
  return issuersSchema.parse(await response.json()).servers;
}

/** Images of the cluster's own registry come from the servers. */
function openImages({ ground, servers }: Agent, fetchAsNode: Fetch): ImageStore {
  const { directory, clock, logger } = ground;
  return openImageStore({
    directory: directory.images,
    clock,
    logger: logger.child({ room: "images" }),
    isOwnHost: (host) => servers.list.some((server) => new URL(server).host === host),
    clusterSources: () => [fetchAsNode],
  });
}

function createParts(
  { flags, ground, joined, link, servers }: Agent,
  { client, fetch }: { client: Client; fetch: Fetch },
  images: ImageStore,
  ports: PortChoices,
  certificate: KeyPair,
): LocalNode & { proxy: Proxy } {
  const { clock, logger, advertiseAddress } = ground;
  const nodeName = joined.name;
  const node = createLocalNode({
    ...ground,
    nodeName,
    client,
    images,
    registry: {
      sources: () => [fetch],
      hosts: () => servers.list.map((server) => new URL(server).host),
    },
    nodeAddress: advertiseAddress,
    ...(flags.maxPods === undefined ? {} : { maxPods: flags.maxPods }),
    peerAddress: `${ground.peerHost}:${link.port}`,
    ranges: joined.settings,
    ...(flags.containerRuntimeEndpoint === undefined
      ? {}
      : { containerRuntimeEndpoint: flags.containerRuntimeEndpoint }),
    ...(flags.clusterDomain === undefined ? {} : { clusterDomain: flags.clusterDomain }),
    proxy: () => proxy,
  });
  const proxy: Proxy = createProxy({
    client,
    clock,
    logger: logger.child({ room: "proxy" }),
    endpointSocket: (ip, port) => node.runtime.endpoint(ip, port),
    remote: { nodeName, dialer: tunnelsOver(link) },
    nodePortAddress: flags.bindAddress,
    ingress: { hostname: flags.bindAddress, port: wishedPortOrAny(flags.bindAddress, ports.http) },
    ingressTls: {
      port: wishedPortOrAny(flags.bindAddress, ports.ingressHttps),
      fallback: certificate,
    },
    ingressAddress: ground.advertiseAddress,
    zone: zoneOptions(flags.clusterDomain, joined.settings),
    // The status of Ingresses is the leader's to write.
    publishesIngressStatus: () => false,
    maxConnections: maxProxyConnections(),
  });
  return { ...node, proxy };
}

function recordAgent(
  { ground, servers }: Agent,
  ports: ProxyPorts,
  dns?: DnsAddress,
): ServerRecord {
  const reached = { ...proxyUrls(ground.advertiseAddress, ports), ...dnsRecord(dns) };
  return recordProcess(ground, { server: servers.list[0] ?? "", ...reached });
}
