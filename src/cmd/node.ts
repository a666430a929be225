import { availableParallelism, hostname, totalmem, release } from "node:os";
import { mkdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { ImageStore } from "../images/index.ts";
import { createKubelet } from "../kubelet/index.ts";
import type { Kubelet, NodeCapacity } from "../kubelet/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import type { Client } from "../client/index.ts";
import { createProcessSpawner, openFilesLimit } from "../os/index.ts";
import type { AddressRanges, TunnelHandler } from "../os/index.ts";
import type { Proxy } from "../proxy/index.ts";
import { createWasiRuntime, isAllowed, openProcessLimits } from "../runtime/index.ts";
import type { BridgeNetworks, EgressGate, RuntimePart, WasiRuntime } from "../runtime/index.ts";
import { addressesOfModules } from "./choose-ranges.ts";
import { besideContainers } from "./container-runtime.ts";
import type { DataDirectory } from "./data-directory.ts";
import { keyvalueThrough } from "./keyvalue-gate.ts";
import { dnsIpOf } from "./node-dns.ts";
import { createNodeRegistry } from "./node-registry.ts";
import type { NodeRegistryOptions } from "./node-registry.ts";
import { GIT_VERSION } from "./version.ts";

export interface NodeOptions {
  readonly directory: DataDirectory;
  readonly client: Client;
  readonly images: ImageStore;
  /** Who else has the cluster's images, for a runtime that pulls them itself. */
  readonly registry: NodeRegistryOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeName: string;
  readonly nodeAddress: string;
  /** "host:port" where this node answers the others. */
  readonly peerAddress: string;
  /** The range of a node that brings its own; others are given one. */
  readonly podCidr?: string;
  /** Pods the node takes; by its memory when absent. */
  readonly maxPods?: number;
  /** Of the whole cluster. */
  readonly ranges: AddressRanges;
  /** "own", "none" or "unix:///…": what runs containers. */
  readonly containerRuntimeEndpoint?: string;
  readonly clusterDomain?: string;
  /** Made after the node, which it sends requests to: what components go out through. */
  readonly proxy?: () => Pick<Proxy, "openEgress" | "podReadiness">;
}

export interface LocalNode {
  readonly kubelet: Kubelet;
  readonly runtime: RuntimePart;
  /** What is behind a port of a pod of this node: a Unix socket, or the address itself. */
  readonly placeOf: TunnelHandler;
}

/** A node's share of the cluster range: 4,094 pods. */
const NODE_PREFIX_LENGTH = 20;
const DEFAULT_CLUSTER_DOMAIN = "cluster.local";

/**
 * Two descriptors a connection, for Services and for Ingress: a quarter of what the process may
 * open stays for the store, the API and the workers, whatever clients do.
 */
const PROXY_SHARE_OF_OPEN_FILES = 3 / 16;

const WORKER_ENTRY = join(import.meta.dir, "wasi-worker.ts");
const BUNDLE_ENTRY = join(import.meta.dir, "wasi-bundle.ts");
const TRANSLATE_ENTRY = join(import.meta.dir, "wasi-translate.ts");

/** How many connections this node's proxy may hold. */
export function maxProxyConnections(): number {
  return Math.floor(openFilesLimit() * PROXY_SHARE_OF_OPEN_FILES);
}

/** The node agent of this machine and the runtime under it, neither started yet. */
export function createLocalNode(options: NodeOptions): LocalNode {
  const { directory, clock, random, logger, podCidr, proxy } = options;
  const { ranges, containerRuntimeEndpoint: endpoint } = options;
  let networks: BridgeNetworks | undefined;
  const runtime = besideContainers(createRuntime(options), {
    registries: createNodeRegistry(options.registry),
    onNetworks: (made) => (networks = made),
    directory,
    ranges,
    ...(endpoint === undefined ? {} : { endpoint }),
    clock,
    logger,
  });
  const kubelet = createKubelet({
    nodeName: options.nodeName,
    client: options.client,
    runtime,
    clock,
    random,
    logger: logger.child({ room: "kubelet" }),
    rootDirectory: directory.kubelet,
    memoryDirectory: directory.memory,
    logDirectory: directory.podLogs,
    nodeAddress: options.nodeAddress,
    peerAddress: options.peerAddress,
    ...(podCidr === undefined ? {} : { podCidr }),
    capacity: measureCapacity(directory, options.maxPods),
    ...(proxy === undefined
      ? {}
      : { onReadiness: (pod, readiness) => proxy().podReadiness(pod, readiness) }),
    clusterDns: {
      address: dnsIpOf(ranges.serviceCidr),
      domain: options.clusterDomain ?? DEFAULT_CLUSTER_DOMAIN,
    },
    kubeletVersion: GIT_VERSION,
    machine: {
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      kernelVersion: release(),
      osImage: `Bun ${Bun.version}`,
    },
  });
  const placeOf: TunnelHandler = ({ ip, port }) =>
    runtime.endpoint(ip, port) ?? (networks?.has(ip) === true ? { ip, port } : undefined);
  return { kubelet, runtime, placeOf };
}

/** The WASI runtime over a data directory, not started yet. */
export function createRuntime(
  options: Pick<
    NodeOptions,
    "directory" | "images" | "podCidr" | "proxy" | "clock" | "random" | "logger"
  > & {
    /** Without it components reach no key-value store. */
    client?: Client;
    warmWorkers?: number;
  },
): WasiRuntime {
  const { directory, podCidr, proxy, client, warmWorkers } = options;
  mkdirSync(directory.sockets, { recursive: true, mode: 0o700 });
  const spawner = createProcessSpawner();
  const logger = options.logger.child({ room: "runtime" });
  const { clock } = options;
  return createWasiRuntime({
    stateDirectory: directory.runtime,
    socketDirectory: directory.sockets,
    images: options.images,
    ...(podCidr === undefined ? {} : { podCidr }),
    ...addressesOfModules(directory),
    spawner,
    openLimits: () =>
      openProcessLimits({
        stateDirectory: directory.runtime,
        cpuMillis: availableParallelism() * 1000,
        spawner,
        clock,
        logger,
      }),
    workerCommand: [process.execPath, WORKER_ENTRY],
    workerCode: {
      // A place that several servers share is not theirs to delete, so no part of the directory.
      directory: process.env["KUBUN_WORKER_CODE"] ?? directory.workerCode,
      buildCommand: [process.execPath, BUNDLE_ENTRY],
    },
    translateCommand: [process.execPath, TRANSLATE_ENTRY],
    ...(proxy === undefined ? {} : { egress: egressThrough(proxy) }),
    ...(client === undefined ? {} : { keyvalue: keyvalueThrough({ client, clock, logger }) }),
    clock,
    random: options.random,
    logger,
    ...(warmWorkers === undefined ? {} : { warmWorkers }),
  });
}

/** A pod's way out leads through the proxy, which asks here for each target. */
function egressThrough(proxy: () => Pick<Proxy, "openEgress">): EgressGate {
  return {
    open: ({ path, pod, allowedHosts }) =>
      proxy().openEgress(path, {
        namespace: pod.namespace,
        allows: (scheme, host, port) => isAllowed(allowedHosts, scheme, host, port),
      }),
  };
}

/** The machine's name as a Kubernetes object name: lower case letters, digits, `-` and `.`. */
export function localNodeName(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  return name === "" ? "node" : name;
}

/** The first node's part of the cluster range, "127.42.0.0/16" → "127.42.0.0/20". */
export function podCidrOfFirstNode(clusterCidr: string): string {
  const [base, bits] = clusterCidr.split("/");
  return `${base}/${Math.max(Number(bits), NODE_PREFIX_LENGTH)}`;
}

function measureCapacity(directory: DataDirectory, maxPods: number | undefined): NodeCapacity {
  const disk = statfsSync(directory.path);
  return {
    cpuMillis: availableParallelism() * 1000,
    memoryBytes: totalmem(),
    ephemeralStorageBytes: disk.blocks * disk.bsize,
    ...(maxPods === undefined ? {} : { maxPods }),
  };
}
