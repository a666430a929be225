import {
  NAMESPACE_MODE,
  PROTOCOL,
  type PodSandboxConfig as CriSandboxConfig,
} from "./cri/messages.ts";
import type { Encodable } from "./cri/protobuf.ts";
import { type PodSandboxConfig, RuntimeError } from "../runtime.ts";

/** The labels by which every tool for the CRI knows whose something is. */
export const POD_NAME = "io.kubernetes.pod.name";
export const POD_NAMESPACE = "io.kubernetes.pod.namespace";
export const POD_UID = "io.kubernetes.pod.uid";
export const CONTAINER_NAME = "io.kubernetes.container.name";

/** The whole configuration of a sandbox stands in this annotation, to be known after a restart. */
const CONFIG = "kubun.dev/sandbox-config";

export type SandboxRequest = Encodable<typeof CriSandboxConfig>;

/** What the CRI is asked for a pod. */
export function sandboxRequest(config: PodSandboxConfig): SandboxRequest {
  const { name, namespace, uid, attempt, host, dns, hostname, hostPorts = [] } = config;
  return {
    metadata: { name, namespace, uid, attempt },
    // A pod on the machine's own network has the machine's name.
    hostname: host?.network === true ? "" : (hostname ?? name),
    // Logs are told as paths below it, and without it a containerd writes none.
    logDirectory: config.logDirectory ?? "/",
    dnsConfig: dns,
    portMappings: hostPorts.map(({ hostPort, containerPort, protocol, hostIp }) => ({
      hostPort,
      containerPort,
      protocol: PROTOCOL[protocol],
      hostIp,
    })),
    labels: { ...config.labels, [POD_NAME]: name, [POD_NAMESPACE]: namespace, [POD_UID]: uid },
    annotations: { [CONFIG]: JSON.stringify(config) },
    linux: {
      cgroupParent: config.cgroupParent,
      sysctls: config.sysctls,
      securityContext: {
        namespaceOptions: namespacesOf(config),
        supplementalGroups: config.security?.supplementalGroups,
        privileged: config.security?.privileged,
        seccomp: config.security?.privileged === true ? { profileType: 1 } : { profileType: 0 },
      },
    },
  };
}

export function namespacesOf({ host, shareProcessNamespace }: PodSandboxConfig) {
  const shared = shareProcessNamespace === true ? NAMESPACE_MODE.pod : NAMESPACE_MODE.container;
  return {
    network: host?.network === true ? NAMESPACE_MODE.node : NAMESPACE_MODE.pod,
    pid: host?.pid === true ? NAMESPACE_MODE.node : shared,
    ipc: host?.ipc === true ? NAMESPACE_MODE.node : NAMESPACE_MODE.pod,
  };
}

/** The configuration back from a sandbox's annotations; undefined for one that is not ours. */
export function configOf(
  annotations: Readonly<Record<string, string>>,
): PodSandboxConfig | undefined {
  const text = annotations[CONFIG];
  // Written by `sandboxRequest`, from a value of this type.
  return text === undefined ? undefined : (JSON.parse(text) as PodSandboxConfig);
}

/** What this runtime cannot do for a pod, said before anything is made. */
export function refuseUnsupported(config: PodSandboxConfig, handlers: readonly string[]): void {
  const { handler, joins } = config;
  if (handler !== undefined && !handlers.includes(handler)) {
    const why = `handler ${handler}: the container runtime has ${handlers.join(", ")}`;
    throw new RuntimeError("unsupported", why);
  }
  if (joins !== undefined) {
    const why = "joins: a container pod has its own network, which other runtimes may join";
    throw new RuntimeError("unsupported", why);
  }
}
