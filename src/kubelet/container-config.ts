import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod, Service } from "../api/index.ts";
import { parseQuantity } from "../apimachinery/index.ts";
import type { ContainerConfig, ImageStatus, Mount, PodSandbox } from "../runtime/index.ts";
import { containerResources } from "./container-resources.ts";
import { containerSecurity, refuseRoot } from "./container-security.ts";
import { containerEnvironment, type PodReferences } from "./environment.ts";
import { expandVariables } from "./expansion.ts";
import type { PodAction } from "./pod-actions.ts";
import type { Allocatable } from "./pod-fields.ts";
import { hostsMount, terminationMount } from "./pod-files.ts";
import type { PodVolumes } from "./pod-volumes.ts";

export interface ContainerConfigOptions {
  readonly volumes: PodVolumes;
  readonly hostIp: string;
  readonly allocatable: Allocatable;
  readonly services: () => readonly Service[];
  /** Where the logs of the pod stand. */
  readonly logDirectory: string;
  readonly clusterDomain: string;
}

export interface ContainerInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly sandbox: PodSandbox;
  readonly action: Extract<PodAction, { type: "start-container" }>;
  readonly references: PodReferences;
  readonly image: ImageStatus;
  /** A runtime that was asked for by hand. */
  readonly handler?: string;
}

/** What the runtime is told of a container. Throws ConfigError. */
export function containerConfig(
  input: ContainerInput,
  options: ContainerConfigOptions,
): ContainerConfig {
  const { pod, container, sandbox, action, references, image, handler } = input;
  const { hostIp, allocatable, services, volumes } = options;
  const podIp = sandbox.ip === "" ? hostIp : sandbox.ip;
  const env = containerEnvironment({
    pod,
    container,
    addresses: { podIp, hostIp },
    allocatable,
    references,
    services: services(),
  });
  const variables = new Map(env);
  const expand = (text: string): string => expandVariables(text, (name) => variables.get(name));
  const directory = join(options.logDirectory, container.name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const memory = container.resources?.limits?.["memory"];
  const { command, args } = container;
  const mounts = volumes.mounts(pod, container, {
    env: variables,
    kind: image.kind,
    besideContainers: image.kind === "oci" || sandbox.networkNamespace !== undefined,
  });
  return {
    name: container.name,
    attempt: action.attempt,
    image: container.image ?? "",
    ...(command === undefined ? {} : { command: command.map(expand) }),
    ...(args === undefined ? {} : { args: args.map(expand) }),
    env,
    mounts: image.kind === "oci" ? [...mounts, ...kubeletMounts(input, mounts, options)] : mounts,
    ports: (container.ports ?? []).map(({ name, containerPort, protocol }) => ({
      ...(name === undefined ? {} : { name }),
      port: containerPort,
      protocol: protocol === "UDP" || protocol === "SCTP" ? protocol : "TCP",
    })),
    logPath: join(directory, `${action.attempt}.log`),
    ...(memory === undefined ? {} : { memoryLimitBytes: parseQuantity(memory).value() }),
    resources: containerResources(pod, container),
    annotations: action.annotations,
    ...(handler === undefined ? {} : { handler }),
    ...(image.kind === "oci" ? ofKernel(input, options) : {}),
  };
}

/** What has a meaning for programs of the machine's kernel alone. */
function ofKernel(
  { pod, container, image }: ContainerInput,
  { volumes }: ContainerConfigOptions,
): Partial<ContainerConfig> {
  const { seccompDirectory } = volumes;
  const security = containerSecurity(pod, container, { seccompDirectory });
  refuseRoot(pod, container, security, image);
  const { workingDir = "", stdin, stdinOnce, tty } = container;
  return {
    ...(Object.keys(security).length === 0 ? {} : { security }),
    ...(workingDir === "" ? {} : { workingDirectory: workingDir }),
    ...(stdin === true
      ? { stdin: stdinOnce === true ? ("once" as const) : ("open" as const) }
      : {}),
    ...(tty === true ? { tty: true } : {}),
  };
}

/** Files that every container finds, unless the pod mounts its own there. */
function kubeletMounts(
  { pod, container, sandbox, action }: ContainerInput,
  taken: readonly Mount[],
  { volumes, clusterDomain }: ContainerConfigOptions,
): Mount[] {
  const directory = volumes.podDirectory(pod);
  const own = [
    hostsMount(directory, pod, { ip: sandbox.ip, domain: clusterDomain }),
    terminationMount(directory, container, action.attempt),
  ];
  return own.filter(({ guestPath }) => !taken.some((one) => one.guestPath === guestPath));
}
