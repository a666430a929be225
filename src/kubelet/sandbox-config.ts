import type { Container, Pod } from "../api/index.ts";
import type {
  DnsConfig,
  HostPort,
  PlannedContainer,
  PodSandboxConfig,
  SandboxSecurity,
} from "../runtime/index.ts";
import { type ClusterDns, podDns } from "./pod-dns.ts";
import { podHostname } from "./pod-hostname.ts";
import { podContainers } from "./pod-runtime-state.ts";

/** The runtime of all containers of a pod, or with `.<container>` behind it of one. */
export const RUNTIME_ANNOTATION = "kubun.dev/runtime";
export const DEFAULT_DOMAIN = "cluster.local";

export interface SandboxInput {
  readonly attempt: number;
  /** Of the pod's RuntimeClass. */
  readonly handler?: string;
  /** The machine's own resolv.conf. */
  readonly hostDns: DnsConfig;
  readonly clusterDns?: ClusterDns;
  readonly logDirectory: string;
  readonly cgroupParent?: string;
}

/** What the runtime is told of a pod as a whole. Throws what {@link podHostname} throws. Pure. */
export function sandboxConfig(pod: Pod, input: SandboxInput): PodSandboxConfig {
  const { attempt, handler, logDirectory, hostDns, clusterDns, cgroupParent } = input;
  const { metadata, spec } = pod;
  const { name = "", namespace = "", uid = "", annotations = {}, labels = {} } = metadata;
  const account = spec?.serviceAccountName;
  const host = {
    ...(spec?.hostNetwork === true ? { network: true as const } : {}),
    ...(spec?.hostPID === true ? { pid: true as const } : {}),
    ...(spec?.hostIPC === true ? { ipc: true as const } : {}),
  };
  const { sysctls = [] } = spec?.securityContext ?? {};
  const security = sandboxSecurity(pod);
  const dnsInput = { host: hostDns, ...(clusterDns === undefined ? {} : { cluster: clusterDns }) };
  const { hostname } = podHostname(pod, clusterDns?.domain ?? DEFAULT_DOMAIN);
  return {
    name,
    namespace,
    uid,
    attempt,
    annotations,
    labels,
    ...(account === undefined ? {} : { serviceAccount: account }),
    ...(handler === undefined ? {} : { handler }),
    // On the machine's own network the machine's name holds.
    ...(spec?.hostNetwork === true ? {} : { hostname }),
    dns: podDns(pod, dnsInput),
    logDirectory,
    ...(Object.keys(host).length === 0 ? {} : { host }),
    ...(spec?.shareProcessNamespace === true ? { shareProcessNamespace: true } : {}),
    ...(sysctls.length === 0
      ? {}
      : { sysctls: Object.fromEntries(sysctls.map(({ name: key, value }) => [key, value])) }),
    ...(Object.keys(security).length === 0 ? {} : { security }),
    ...hostPortsOf(pod),
    containers: plannedContainers(pod),
    ...(cgroupParent === undefined ? {} : { cgroupParent }),
  };
}

function sandboxSecurity(pod: Pod): SandboxSecurity {
  const groups = podGroups(pod);
  const privileged = podContainers(pod).some(
    ({ securityContext }) => securityContext?.privileged === true,
  );
  return {
    ...(privileged ? { privileged } : {}),
    ...(groups.length === 0 ? {} : { supplementalGroups: groups }),
  };
}

/** The groups that all programs of a pod are in, the owner of its volumes included. */
export function podGroups({ spec }: Pod): number[] {
  const { supplementalGroups = [], fsGroup } = spec?.securityContext ?? {};
  return [...new Set([...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])])];
}

function hostPortsOf({ spec }: Pod): { hostPorts?: HostPort[] } {
  if (spec?.hostNetwork === true) return {};
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const hostPorts = containers
    .flatMap(({ ports = [] }) => ports)
    .flatMap(({ hostPort = 0, containerPort, protocol, hostIP = "" }): HostPort[] => {
      if (hostPort === 0) return [];
      const known = protocol === "UDP" || protocol === "SCTP" ? protocol : "TCP";
      const place = hostIP === "" ? {} : { hostIp: hostIP };
      return [{ hostPort, containerPort, protocol: known, ...place }];
    });
  return hostPorts.length === 0 ? {} : { hostPorts };
}

function plannedContainers(pod: Pod): PlannedContainer[] {
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  return [...initContainers, ...containers].map((container) => {
    const handler = annotatedHandler(pod, container);
    const { name, image = "" } = container;
    return { name, image, ...(handler === undefined ? {} : { handler }) };
  });
}

/** The runtime that an annotation names for a container: `wasi`, `oci` or another handler. */
export function annotatedHandler({ metadata }: Pod, { name }: Container): string | undefined {
  const { annotations = {} } = metadata;
  const found = annotations[`${RUNTIME_ANNOTATION}.${name}`] ?? annotations[RUNTIME_ANNOTATION];
  return found === "" ? undefined : found;
}
