import { relative } from "node:path";
import type {
  ContainerConfig,
  ContainerResources,
  ContainerSecurity,
  PodSandboxConfig,
} from "../runtime.ts";
import {
  type ContainerConfig as CriContainerConfig,
  PROPAGATION,
  SECURITY_PROFILE,
} from "./cri/messages.ts";
import type { Encodable } from "./cri/protobuf.ts";
import {
  CONTAINER_NAME,
  namespacesOf,
  POD_NAME,
  POD_NAMESPACE,
  POD_UID,
} from "./sandbox-request.ts";

/** What we have to know of a container again after a restart, and the CRI does not keep. */
export interface ContainerNotes {
  readonly image: string;
  readonly logPath: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const NOTES = "kubun.dev/container-notes";
const CPU_PERIOD_MICROSECONDS = 100_000;
const MIN_CPU_QUOTA_MICROSECONDS = 1000;
const MIN_CPU_SHARES = 2;
const SHARES_PER_PROCESSOR = 1024;

/** What of /proc and /sys a container that is not privileged must not read. */
const MASKED_PATHS = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];
/** What it must not write. */
const READ_ONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** What the CRI is asked for a container. */
export function containerRequest(
  config: ContainerConfig,
  sandbox: PodSandboxConfig,
): Encodable<typeof CriContainerConfig> {
  const { name, attempt, image, logPath, annotations = {}, stdin, security = {} } = config;
  const notes: ContainerNotes = { image, logPath, annotations };
  return {
    metadata: { name, attempt },
    image: { image },
    command: config.command,
    args: config.args,
    workingDir: config.workingDirectory,
    envs: config.env.map(([key, value]) => ({ key, value })),
    mounts: config.mounts.map(({ guestPath, hostPath, readOnly, propagation = "private" }) => ({
      containerPath: guestPath,
      hostPath,
      readonly: readOnly,
      propagation: PROPAGATION[propagation],
    })),
    labels: {
      [CONTAINER_NAME]: name,
      [POD_NAME]: sandbox.name,
      [POD_NAMESPACE]: sandbox.namespace,
      [POD_UID]: sandbox.uid,
    },
    annotations: { [NOTES]: JSON.stringify(notes) },
    logPath: relative(sandbox.logDirectory ?? "/", logPath),
    stdin: stdin !== undefined,
    stdinOnce: stdin === "once",
    tty: config.tty,
    linux: {
      resources: {
        ...processorOf(config.resources),
        memoryLimitInBytes: config.memoryLimitBytes,
        oomScoreAdj: oomScoreOf(config.resources),
      },
      securityContext: securityOf(security, sandbox),
    },
  };
}

function securityOf(security: ContainerSecurity, sandbox: PodSandboxConfig) {
  const privileged = security.privileged === true;
  const { runAsUser, runAsGroup, addCapabilities, dropCapabilities } = security;
  return {
    capabilities: { addCapabilities, dropCapabilities },
    privileged,
    namespaceOptions: namespacesOf(sandbox),
    runAsUser: runAsUser === undefined ? undefined : { value: runAsUser },
    runAsGroup: runAsGroup === undefined ? undefined : { value: runAsGroup },
    readonlyRootfs: security.readOnlyRootFilesystem,
    supplementalGroups: security.supplementalGroups,
    noNewPrivs: security.allowPrivilegeEscalation === false,
    maskedPaths: privileged ? [] : MASKED_PATHS,
    readonlyPaths: privileged ? [] : READ_ONLY_PATHS,
    seccomp: seccompOf(privileged ? undefined : security.seccomp),
  };
}

function seccompOf(profile: string | undefined) {
  if (profile === undefined || profile === "Unconfined") {
    return { profileType: SECURITY_PROFILE.unconfined };
  }
  if (profile === "RuntimeDefault") return { profileType: SECURITY_PROFILE.runtimeDefault };
  return { profileType: SECURITY_PROFILE.localhost, localhostRef: profile };
}

function processorOf(resources: ContainerResources | undefined) {
  const { cpuRequestMillis = 0, cpuLimitMillis } = resources ?? {};
  const shares = Math.floor((cpuRequestMillis * SHARES_PER_PROCESSOR) / 1000);
  const quota = ((cpuLimitMillis ?? 0) * CPU_PERIOD_MICROSECONDS) / 1000;
  return {
    cpuShares: Math.max(MIN_CPU_SHARES, shares),
    ...(cpuLimitMillis === undefined
      ? {}
      : {
          cpuPeriod: CPU_PERIOD_MICROSECONDS,
          cpuQuota: Math.max(MIN_CPU_QUOTA_MICROSECONDS, Math.floor(quota)),
        }),
  };
}

/** Whom the kernel ends first when memory runs out: as Kubernetes ranks the classes. */
function oomScoreOf(resources: ContainerResources | undefined): number {
  switch (resources?.qosClass) {
    case "Guaranteed":
      return -997;
    case "Burstable":
      return 999;
    case "BestEffort":
    case undefined:
      return 1000;
  }
}

/** The notes back from a container's annotations; undefined for one that is not ours. */
export function notesOf(annotations: Readonly<Record<string, string>>): ContainerNotes | undefined {
  const text = annotations[NOTES];
  // Written by `containerRequest`, from a value of this type.
  return text === undefined ? undefined : (JSON.parse(text) as ContainerNotes);
}
