import type { Node, NodeCondition, NodeStatus } from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import type { ImageStatus } from "../runtime/index.ts";
import { maxPodsOf } from "./admission.ts";
import type { KubeletOptions } from "./kubelet-options.ts";

/** Images named in the node's status, the largest first, as Kubernetes does. */
export const MAX_NODE_IMAGES = 50;
const KIBI = 1024;

/** The Node object as it is created; a node that exists keeps its spec and others' labels. */
export function nodeObject(options: KubeletOptions): Node {
  const { nodeName, podCidr } = options;
  const annotations = nodeAnnotations(options);
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: nodeName,
      labels: nodeLabels(options),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    ...(podCidr === undefined ? {} : { spec: { podCIDR: podCidr, podCIDRs: [podCidr] } }),
  };
}

/** Where the cluster's other processes reach this node: how traffic for its pods arrives. */
export const PEER_ADDRESS_ANNOTATION = "kubun.dev/peer-address";

export function nodeAnnotations({ peerAddress }: KubeletOptions): Record<string, string> {
  return peerAddress === undefined ? {} : { [PEER_ADDRESS_ANNOTATION]: peerAddress };
}

export function nodeLabels(options: KubeletOptions): Record<string, string> {
  const architecture = options.machine?.architecture ?? "amd64";
  return {
    "kubernetes.io/hostname": options.nodeName,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": architecture,
    "beta.kubernetes.io/os": "linux",
    "beta.kubernetes.io/arch": architecture,
    "kubun.dev/runtime-wasi": "true",
    ...options.labels,
  };
}

/** Everything of the node's status that does not change by itself. */
export function nodeFacts(options: KubeletOptions, images: readonly ImageStatus[]): NodeStatus {
  const { nodeAddress, nodeName, machine, kubeletVersion, kubeletPort, runtime } = options;
  const resources = resourceList(options);
  const largest = [...images].sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, MAX_NODE_IMAGES);
  return {
    addresses: [
      { type: "InternalIP", address: nodeAddress },
      { type: "Hostname", address: nodeName },
    ],
    capacity: resources,
    allocatable: resources,
    nodeInfo: {
      architecture: machine?.architecture ?? "amd64",
      bootID: machine?.bootId ?? "",
      containerRuntimeVersion: `${runtime.name}://${runtime.version}`,
      kernelVersion: machine?.kernelVersion ?? "",
      kubeProxyVersion: kubeletVersion,
      kubeletVersion,
      machineID: machine?.machineId ?? "",
      operatingSystem: "linux",
      osImage: machine?.osImage ?? "",
      systemUUID: machine?.machineId ?? "",
    },
    runtimeHandlers: runtime.handlers.map((name) => ({ name })),
    images: largest.map(({ reference, imageRef, sizeBytes }) => ({
      names: [imageRef, reference],
      sizeBytes,
    })),
    ...(kubeletPort === undefined
      ? {}
      : { daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } }),
  };
}

function resourceList({ capacity }: KubeletOptions): Record<string, string> {
  const { cpuMillis, memoryBytes, ephemeralStorageBytes } = capacity;
  return {
    cpu: cpuMillis % 1000 === 0 ? `${cpuMillis / 1000}` : `${cpuMillis}m`,
    memory: `${Math.floor(memoryBytes / KIBI)}Ki`,
    "ephemeral-storage": `${Math.floor(ephemeralStorageBytes / KIBI)}Ki`,
    pods: `${maxPodsOf(capacity)}`,
  };
}

const CONDITIONS = [
  [
    "MemoryPressure",
    "False",
    "KubeletHasSufficientMemory",
    "kubelet has sufficient memory available",
  ],
  ["DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
  ["PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
  ["Ready", "True", "KubeletReady", "kubelet is posting ready status"],
] as const;

/** The conditions of a working node, with the moment each came to be so. */
export function nodeConditions(before: readonly NodeCondition[], now: number): NodeCondition[] {
  return CONDITIONS.map(([type, status, reason, message]) => {
    const known = before.find((one) => one.type === type);
    const since = known?.status === status ? known.lastTransitionTime : undefined;
    return {
      type,
      status,
      reason,
      message,
      lastHeartbeatTime: rfc3339(now),
      lastTransitionTime: since ?? rfc3339(now),
    };
  });
}
