import { rmSync } from "node:fs";
import type { ServerFlags } from "../cli/index.ts";
import type { Client } from "../client/index.ts";
import { startControllers } from "../controllers/index.ts";
import { openImageStore } from "../images/index.ts";
import type { ImageStore } from "../images/index.ts";
import { openFilesLimit, processStartTime } from "../os/index.ts";
import { createProxy } from "../proxy/index.ts";
import type { Proxy } from "../proxy/index.ts";
import { startScheduler } from "../scheduler/index.ts";
import { createComponentTokens } from "./components.ts";
import type { Component } from "./components.ts";
import { createControlPlane } from "./control-plane.ts";
import { ensureCredentials, serverNames } from "./credentials.ts";
import { writeServerRecord, writeSettings } from "./data-directory.ts";
import type { DataDirectory, ServerRecord } from "./data-directory.ts";
import { openGround } from "./ground.ts";
import type { Ground } from "./ground.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { chooseFreePort, listenForApi } from "./listeners.ts";
import type { ApiListener, PortChoice } from "./listeners.ts";
import { createLocalNode, localNodeName, podCidrOfFirstNode } from "./node.ts";
import type { LocalNode } from "./node.ts";
import { VERSION } from "./version.ts";

export interface RunningCluster {
  readonly directory: DataDirectory;
  readonly record: ServerRecord;
  /** Resolves when the state can be written no more; the process should then end. */
  readonly failed: Promise<Error>;
  /** Ends the server. Pods run on for the next server, unless they are to end too. */
  stop(options: { pods: "keep" | "end" }): Promise<void>;
}

interface Parts extends LocalNode {
  readonly proxy: Proxy;
  readonly clientOf: (component: Component) => Client;
  /** The authority's certificate, PEM. */
  readonly rootCa: string;
}

interface AuthenticListener extends ApiListener {
  readonly adminToken: string;
  readonly rootCa: string;
}

const DEFAULT_HTTPS_PORT = 6443;
const DEFAULT_HTTP_PORT = 8080;
/**
 * Two descriptors a connection, for Services and for Ingress: a quarter of what the process may
 * open stays for the store, the API and the workers, whatever clients do.
 */
const PROXY_SHARE_OF_OPEN_FILES = 3 / 16;

/** Puts a whole cluster together in this process, from the disk up to the proxy. */
export async function startCluster(flags: ServerFlags): Promise<RunningCluster> {
  const ground = await openGround(flags);
  const advertiseAddress = flags.advertiseAddress ?? advertised(flags.bindAddress);
  const listener = await openListener(ground, flags, advertiseAddress);
  const images = openImages(ground, `${advertiseAddress}:${listener.port}`);
  const running = new AbortController();
  const api = { listener, advertiseAddress, images, signal: running.signal };
  const parts = await startServing(ground, flags, api);
  const ingressPort = await startParts(ground, parts, running.signal);
  const record: ServerRecord = {
    pid: process.pid,
    startTime: processStartTime(process.pid) ?? "",
    version: VERSION,
    server: `https://${advertiseAddress}:${listener.port}`,
    ingress: `http://${advertiseAddress}:${ingressPort}`,
    startedAt: new Date(ground.clock.now()).toISOString(),
  };
  writeServerRecord(ground.directory, record);
  writeSettings(ground.directory, {
    httpsPort: listener.port,
    httpPort: ingressPort,
    clusterCidr: ground.ranges.clusterCidr,
    serviceCidr: ground.ranges.serviceCidr,
  });
  return {
    directory: ground.directory,
    record,
    failed: ground.failed,
    async stop({ pods }) {
      if (pods === "end") await parts.kubelet.terminateAll();
      running.abort();
      await Promise.all([parts.kubelet.drained(), parts.proxy.drained()]);
      parts.runtime.shutdown();
      await listener.stop();
      await images.close();
      await ground.store.close();
      rmSync(ground.directory.serverRecord, { force: true });
      ground.ranges.release();
    },
  };
}

async function openListener(
  ground: Ground,
  flags: ServerFlags,
  advertiseAddress: string,
): Promise<AuthenticListener> {
  const { directory, settings, clock, ranges } = ground;
  const credentials = await ensureCredentials(directory, {
    names: serverNames({
      bindAddress: flags.bindAddress,
      advertiseAddress,
      kubernetesServiceIp: firstAddress(ranges.serviceCidr),
      additional: flags.tlsSan,
    }),
    nowMs: clock.now(),
  });
  const listener = listenForApi({
    hostname: flags.bindAddress,
    choice: portChoice(flags.httpsPort, settings.httpsPort ?? DEFAULT_HTTPS_PORT, "--https-port"),
    keys: credentials.server,
  });
  writeKubeconfig(directory.kubeconfig, {
    server: `https://${advertiseAddress}:${listener.port}`,
    ca: credentials.ca,
    token: credentials.adminToken,
  });
  return { ...listener, adminToken: credentials.adminToken, rootCa: credentials.ca };
}

/** The image store; names that begin with the cluster's own registry are looked for in it. */
function openImages(ground: Ground, ownHost: string): ImageStore {
  const { directory, clock, logger } = ground;
  return openImageStore({
    directory: directory.images,
    clock,
    logger: logger.child({ room: "images" }),
    isOwnHost: (host) => host === ownHost,
  });
}

/** Builds both towers and answers requests from here on. */
async function startServing(
  ground: Ground,
  flags: ServerFlags,
  api: {
    listener: AuthenticListener;
    advertiseAddress: string;
    images: ImageStore;
    signal: AbortSignal;
  },
): Promise<Parts> {
  const { clock, logger, ranges } = ground;
  const nodeName = localNodeName();
  const tokens = createComponentTokens({ adminToken: api.listener.adminToken, nodeName });
  const controlPlane = await createControlPlane({
    ...ground,
    images: api.images,
    users: tokens.users,
    nodeConnector: (name) =>
      name === nodeName ? async (request) => node.kubelet.app.fetch(request) : undefined,
    serviceCidr: ranges.serviceCidr,
    nodePortRange: flags.serviceNodePortRange,
    advertiseAddress: api.advertiseAddress,
    advertisePort: api.listener.port,
    signal: api.signal,
  });
  const clientOf = (component: Component): Client =>
    tokens.clientOf(component, { fetch: controlPlane.api, clock });
  const node = createLocalNode({
    ...ground,
    images: api.images,
    client: clientOf("kubelet"),
    nodeName,
    nodeAddress: api.advertiseAddress,
    podCidr: podCidrOfFirstNode(ranges.clusterCidr),
  });
  const { httpPort } = ground.settings;
  const proxy = createProxy({
    client: clientOf("proxy"),
    clock,
    logger: logger.child({ room: "proxy" }),
    endpointSocket: (ip, port) => node.runtime.endpoint(ip, port),
    nodePortAddress: flags.bindAddress,
    ingress: {
      hostname: flags.bindAddress,
      port: chooseFreePort(
        flags.bindAddress,
        portChoice(flags.httpPort, httpPort ?? DEFAULT_HTTP_PORT, "--http-port"),
      ),
    },
    ingressAddress: api.advertiseAddress,
    maxConnections: Math.floor(openFilesLimit() * PROXY_SHARE_OF_OPEN_FILES),
  });
  api.listener.serve(controlPlane.front);
  return { ...node, proxy, clientOf, rootCa: api.listener.rootCa };
}

/** Starts what works on its own; gives the port of Ingress. */
async function startParts(ground: Ground, parts: Parts, signal: AbortSignal): Promise<number> {
  const { clock, random, logger } = ground;
  const { clientOf, proxy, kubelet, runtime } = parts;
  await runtime.start();
  const context = { clock, random, signal };
  startControllers({
    ...context,
    client: clientOf("controllers"),
    logger: logger.child({ room: "controllers" }),
    rootCa: parts.rootCa,
  });
  startScheduler({
    ...context,
    client: clientOf("scheduler"),
    logger: logger.child({ room: "scheduler" }),
  });
  const [{ ingressPort }] = await Promise.all([proxy.start(signal), kubelet.start(signal)]);
  return ingressPort;
}

function portChoice(given: number | undefined, preferred: number, flag: string): PortChoice {
  return given === undefined
    ? { type: "preferred", port: preferred }
    : { type: "given", port: given, flag };
}

/** The address others are told when the server listens on all of them. */
function advertised(bindAddress: string): string {
  return bindAddress === "0.0.0.0" ? "127.0.0.1" : bindAddress;
}

/** "127.43.0.0/16" → "127.43.0.1": where the `kubernetes` Service stands. */
function firstAddress(cidr: string): string {
  const [base] = cidr.split("/");
  const octets = (base ?? "").split(".").map(Number);
  return [...octets.slice(0, 3), (octets[3] ?? 0) + 1].join(".");
}
