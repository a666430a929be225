import {
  bool,
  bytes,
  integer,
  integers,
  many,
  map,
  message,
  one,
  string,
  strings,
} from "./protobuf.ts";

/**
 * The messages of the CRI, package `runtime.v1`, as far as we write or read them: names and numbers
 * of the fields are those of the interface.
 */
export const NAMESPACE_MODE = { pod: 0, container: 1, node: 2 } as const;
export const SECURITY_PROFILE = { runtimeDefault: 0, unconfined: 1, localhost: 2 } as const;
export const PROTOCOL = { TCP: 0, UDP: 1, SCTP: 2 } as const;
export const PROPAGATION = { private: 0, "host-to-container": 1, bidirectional: 2 } as const;
export const SANDBOX_READY = 0;
export const CONTAINER_STATES = ["created", "running", "exited", "unknown"] as const;

const Int64Value = message({ value: integer(1) });
const UInt64Value = message({ value: integer(1) });
const SecurityProfile = message({ profileType: integer(1), localhostRef: string(2) });
const NamespaceOption = message({ network: integer(1), pid: integer(2), ipc: integer(3) });

export const VersionRequest = message({ version: string(1) });
export const VersionResponse = message({
  runtimeName: string(2),
  runtimeVersion: string(3),
});

const Condition = message({
  type: string(1),
  status: bool(2),
  reason: string(3),
  message: string(4),
});
export const StatusRequest = message({ verbose: bool(1) });
export const StatusResponse = message({
  status: one(1, message({ conditions: many(1, Condition) })),
});

const SandboxMetadata = message({
  name: string(1),
  uid: string(2),
  namespace: string(3),
  attempt: integer(4),
});

const SandboxSecurityContext = message({
  namespaceOptions: one(1, NamespaceOption),
  supplementalGroups: integers(5),
  privileged: bool(6),
  seccomp: one(9, SecurityProfile),
});

export const PodSandboxConfig = message({
  metadata: one(1, SandboxMetadata),
  hostname: string(2),
  logDirectory: string(3),
  dnsConfig: one(4, message({ servers: strings(1), searches: strings(2), options: strings(3) })),
  portMappings: many(
    5,
    message({
      protocol: integer(1),
      containerPort: integer(2),
      hostPort: integer(3),
      hostIp: string(4),
    }),
  ),
  labels: map(6),
  annotations: map(7),
  linux: one(
    8,
    message({
      cgroupParent: string(1),
      securityContext: one(2, SandboxSecurityContext),
      sysctls: map(3),
    }),
  ),
});

export const RunPodSandboxRequest = message({
  config: one(1, PodSandboxConfig),
  runtimeHandler: string(2),
});
export const RunPodSandboxResponse = message({ podSandboxId: string(1) });
export const PodSandboxRequest = message({ podSandboxId: string(1), verbose: bool(2) });
export const PodSandboxStatusResponse = message({
  status: one(
    1,
    message({
      id: string(1),
      metadata: one(2, SandboxMetadata),
      state: integer(3),
      createdAt: integer(4),
      network: one(5, message({ ip: string(1) })),
      annotations: map(8),
      runtimeHandler: string(9),
    }),
  ),
  info: map(2),
});

const LabelFilter = message({ id: string(1), labelSelector: map(3) });
export const ListPodSandboxRequest = message({ filter: one(1, LabelFilter) });
export const ListPodSandboxResponse = message({
  items: many(
    1,
    message({
      id: string(1),
      metadata: one(2, SandboxMetadata),
      state: integer(3),
      createdAt: integer(4),
      annotations: map(6),
      runtimeHandler: string(7),
    }),
  ),
});

export const ImageSpec = message({ image: string(1) });
const ContainerMetadata = message({ name: string(1), attempt: integer(2) });

const LinuxContainerResources = message({
  cpuPeriod: integer(1),
  cpuQuota: integer(2),
  cpuShares: integer(3),
  memoryLimitInBytes: integer(4),
  oomScoreAdj: integer(5),
});

const ContainerSecurityContext = message({
  capabilities: one(1, message({ addCapabilities: strings(1), dropCapabilities: strings(2) })),
  privileged: bool(2),
  namespaceOptions: one(3, NamespaceOption),
  runAsUser: one(5, Int64Value),
  readonlyRootfs: bool(7),
  supplementalGroups: integers(8),
  noNewPrivs: bool(11),
  runAsGroup: one(12, Int64Value),
  maskedPaths: strings(13),
  readonlyPaths: strings(14),
  seccomp: one(15, SecurityProfile),
});

export const ContainerConfig = message({
  metadata: one(1, ContainerMetadata),
  image: one(2, ImageSpec),
  command: strings(3),
  args: strings(4),
  workingDir: string(5),
  envs: many(6, message({ key: string(1), value: string(2) })),
  mounts: many(
    7,
    message({
      containerPath: string(1),
      hostPath: string(2),
      readonly: bool(3),
      propagation: integer(5),
    }),
  ),
  labels: map(9),
  annotations: map(10),
  logPath: string(11),
  stdin: bool(12),
  stdinOnce: bool(13),
  tty: bool(14),
  linux: one(
    15,
    message({
      resources: one(1, LinuxContainerResources),
      securityContext: one(2, ContainerSecurityContext),
    }),
  ),
});

export const CreateContainerRequest = message({
  podSandboxId: string(1),
  config: one(2, ContainerConfig),
  sandboxConfig: one(3, PodSandboxConfig),
});
export const CreateContainerResponse = message({ containerId: string(1) });
/** StartContainer, RemoveContainer, ReopenContainerLog, ContainerStatus and ContainerStats. */
export const ContainerRequest = message({ containerId: string(1) });
export const StopContainerRequest = message({ containerId: string(1), timeout: integer(2) });

export const ListContainersRequest = message({
  filter: one(1, message({ id: string(1), podSandboxId: string(3), labelSelector: map(4) })),
});
export const ListContainersResponse = message({
  containers: many(
    1,
    message({
      id: string(1),
      podSandboxId: string(2),
      metadata: one(3, ContainerMetadata),
      state: integer(6),
      labels: map(8),
      annotations: map(9),
    }),
  ),
});

export const ContainerStatusResponse = message({
  status: one(
    1,
    message({
      id: string(1),
      metadata: one(2, ContainerMetadata),
      state: integer(3),
      createdAt: integer(4),
      startedAt: integer(5),
      finishedAt: integer(6),
      exitCode: integer(7),
      image: one(8, ImageSpec),
      imageRef: string(9),
      reason: string(10),
      message: string(11),
      labels: map(12),
      annotations: map(13),
      logPath: string(15),
    }),
  ),
});

export const ContainerStatsResponse = message({
  stats: one(
    1,
    message({
      cpu: one(2, message({ usageCoreNanoSeconds: one(2, UInt64Value) })),
      memory: one(3, message({ workingSetBytes: one(2, UInt64Value) })),
    }),
  ),
});

export const ExecSyncRequest = message({
  containerId: string(1),
  cmd: strings(2),
  timeout: integer(3),
});
export const ExecSyncResponse = message({
  stdout: bytes(1),
  stderr: bytes(2),
  exitCode: integer(3),
});
export const ExecRequest = message({
  containerId: string(1),
  cmd: strings(2),
  tty: bool(3),
  stdin: bool(4),
  stdout: bool(5),
  stderr: bool(6),
});
export const AttachRequest = message({
  containerId: string(1),
  stdin: bool(2),
  tty: bool(3),
  stdout: bool(4),
  stderr: bool(5),
});
export const PortForwardRequest = message({ podSandboxId: string(1), port: integers(2) });
/** Of Exec, Attach and PortForward. */
export const StreamingResponse = message({ url: string(1) });

const Image = message({
  id: string(1),
  repoTags: strings(2),
  repoDigests: strings(3),
  size: integer(4),
  uid: one(5, Int64Value),
  username: string(6),
});
export const ListImagesRequest = message({});
export const ListImagesResponse = message({ images: many(1, Image) });
/** ImageStatus and RemoveImage. */
export const ImageRequest = message({ image: one(1, ImageSpec) });
export const ImageStatusResponse = message({ image: one(1, Image) });
export const PullImageRequest = message({
  image: one(1, ImageSpec),
  auth: one(2, message({ username: string(1), password: string(2), serverAddress: string(4) })),
});
export const PullImageResponse = message({ imageRef: string(1) });
export const ImageFsInfoResponse = message({
  imageFilesystems: many(1, message({ usedBytes: one(3, UInt64Value) })),
});

/** What has no fields, or none that we read. */
export const Nothing = message({});

/** containerd's own events, package `containerd.services.events.v1`. */
export const SubscribeRequest = message({ filters: strings(1) });
export const EventEnvelope = message({ namespace: string(2), topic: string(3) });
