/**
 * What a kubelet asks of a container runtime: the verbs of the Kubernetes CRI, so that the WASI
 * runtime and a container runtime are two implementations with one contract suite
 * (`testing/runtime-contract.ts`). All times are milliseconds since the Unix epoch.
 */
export interface ContainerRuntime {
  /** The scheme of container ids in pod status: `wasi` gives `wasi://<id>`. */
  readonly name: string;
  readonly version: string;
  /** RuntimeClass handlers that this runtime serves; the first is the default. */
  readonly handlers: readonly string[];

  /**
   * Where pod addresses come from from now on; pods that have one keep it. Without a range no
   * sandbox can be run. Errors: `invalid-config`.
   */
  updateRuntimeConfig(config: RuntimeConfig): Promise<void>;

  /**
   * Gives the pod its address and directories. Errors: `unsupported`, `exhausted`, `image-missing`
   * when the choice of a runtime takes an image that was not pulled.
   */
  runPodSandbox(config: PodSandboxConfig): Promise<PodSandbox>;
  /** Stops every container of the sandbox at once. Idempotent. */
  stopPodSandbox(sandboxId: string): Promise<void>;
  /** Stops and forgets the sandbox with its containers; its address becomes free. Idempotent. */
  removePodSandbox(sandboxId: string): Promise<void>;
  podSandboxStatus(sandboxId: string): Promise<PodSandbox>;
  listPodSandboxes(filter?: PodFilter): Promise<readonly PodSandbox[]>;

  /** Errors: `not-found`, `image-missing`, `image-unsupported`, `invalid-config`. */
  createContainer(sandboxId: string, config: ContainerConfig): Promise<string>;
  /** Resolves when the program entered its start function. Errors: `start-failed`, `not-found`. */
  startContainer(containerId: string): Promise<void>;
  /** Asks the program to end, then kills it. Resolves when it is gone. Idempotent. */
  stopContainer(containerId: string, options: StopOptions): Promise<void>;
  /** Kills the program if it runs, and forgets the container. Idempotent. */
  removeContainer(containerId: string): Promise<void>;
  containerStatus(containerId: string): Promise<ContainerStatus>;
  listContainers(filter?: PodFilter): Promise<readonly ContainerStatus[]>;
  /** Memory and CPU time of a running container; undefined when it does not run. */
  containerStats(containerId: string): Promise<ContainerStats | undefined>;

  /**
   * Every change from the call on. A consumer that falls behind by {@link MAX_PENDING_EVENTS} gets
   * a `slow-consumer` error: it subscribes again, then lists.
   */
  events(signal: AbortSignal): AsyncIterable<ContainerEvent>;

  /** Errors: the `image-…` codes. */
  pullImage(reference: string, options: PullOptions): Promise<ImageStatus>;
  imageStatus(
    reference: string,
    options?: Pick<PullOptions, "handler">,
  ): Promise<ImageStatus | undefined>;
  listImages(): Promise<readonly ImageStatus[]>;
  removeImage(reference: string): Promise<void>;
  imageFsInfo(): Promise<{ readonly usedBytes: number }>;

  /** Runs a second program in a running container. Errors: `unsupported`, `not-found`. */
  exec(containerId: string, options: ExecOptions): Promise<StreamSession>;
  /** Runs it to its end. Errors: `unsupported`, `not-found`, `deadline`. */
  execSync(
    containerId: string,
    command: readonly string[],
    options: ExecSyncOptions,
  ): Promise<ExecResult>;
  /** Joins the streams of the container's own program. Errors: `unsupported`, `not-found`. */
  attach(containerId: string, options: StreamOptions): Promise<StreamSession>;
  /** Connects to `port` on the pod's own localhost. Errors: `unsupported`, `not-found`. */
  portForward(sandboxId: string, port: number): Promise<ByteStream>;

  /**
   * The Unix socket that reaches `port` of the pod with address `ip`, while a container that
   * serves it runs here. Undefined: dial the address itself.
   */
  endpoint(ip: string, port: number): string | undefined;
}

/** Which streams of a program are wanted; a terminal joins standard error to standard output. */
export interface StreamOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface ExecOptions extends StreamOptions {
  readonly command: readonly string[];
}

export interface ExecSyncOptions {
  /** The program is killed after this time. */
  readonly timeoutMs: number;
}

/** What a program said before it ended; the runtime keeps the beginning of a long output. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/** Bytes in both directions; each end by itself, and `close` cuts both. */
export interface ByteStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): void;
}

/** A program whose streams are held from outside. */
export interface StreamSession {
  /** Absent when it was not asked for. Closing it is the end of the input. */
  readonly stdin?: WritableStream<Uint8Array>;
  readonly stdout?: ReadableStream<Uint8Array>;
  readonly stderr?: ReadableStream<Uint8Array>;
  /** Of a terminal; ignored without one. */
  resize(size: { readonly width: number; readonly height: number }): void;
  /** How it ended: an exit code, or the reason why there is none. Never rejects. */
  readonly ended: Promise<StreamOutcome>;
  /** Lets go of the streams; a program that was run by `exec` is killed. Idempotent. */
  close(): void;
}

export type StreamOutcome =
  | { readonly type: "exited"; readonly exitCode: number }
  | { readonly type: "failed"; readonly message: string };

/** How many events a consumer may leave unread. */
export const MAX_PENDING_EVENTS = 4096;

export interface RuntimeConfig {
  /** The node's range, IPv4, for example `127.42.16.0/20`. */
  readonly podCidr: string;
}

export interface PodSandboxConfig {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  /** Counts the sandboxes of one pod from 0. */
  readonly attempt: number;
  /** The ServiceAccount it acts as: with the namespace, whom it trusts. */
  readonly serviceAccount?: string;
  /** A RuntimeClass handler; the runtime's default without one. */
  readonly handler?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** The pod's own name for itself; its name without one. */
  readonly hostname?: string;
  /** What its resolv.conf says; the machine's own without it. */
  readonly dns?: DnsConfig;
  /** Absolute; where the containers' logs stand. */
  readonly logDirectory?: string;
  /** The machine's own network, process table or message queues instead of the pod's. */
  readonly host?: { readonly network?: true; readonly pid?: true; readonly ipc?: true };
  /** All containers see each other's processes. */
  readonly shareProcessNamespace?: boolean;
  /** Kernel settings of the pod's own namespaces. */
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly security?: SandboxSecurity;
  /** Ports of the machine that lead to the pod. */
  readonly hostPorts?: readonly HostPort[];
  /**
   * An address and a network that another runtime made for this pod, which this one joins instead
   * of giving it its own.
   */
  readonly joins?: PodNetwork;
  /** What will run in it, for who chooses a runtime by that. */
  readonly containers?: readonly PlannedContainer[];
  /** The control group below which the pod's programs are, for example `/kubun-1a2b/pod-uid`. */
  readonly cgroupParent?: string;
}

/** A container of a pod before it is made. */
export interface PlannedContainer {
  readonly name: string;
  readonly image: string;
  /** A RuntimeClass handler that was asked for by hand; by the kind of its image without one. */
  readonly handler?: string;
}

/** A pod's place in the network. */
export interface PodNetwork {
  readonly ip: string;
  /** The file of the network namespace; absent on the machine's own network. */
  readonly namespacePath?: string;
}

export interface DnsConfig {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface HostPort {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  /** All of the machine's addresses without one. */
  readonly hostIp?: string;
}

/** What holds for all containers of a pod of the machine's kernel. */
export interface SandboxSecurity {
  readonly privileged?: boolean;
  readonly supplementalGroups?: readonly number[];
}

/** Whom a container acts as and what the kernel lets it do (PodSpec's securityContext, merged). */
export interface ContainerSecurity {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  /** The start is refused when the image would run as root. */
  readonly runAsNonRoot?: boolean;
  readonly supplementalGroups?: readonly number[];
  readonly privileged?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  /** Default: true, as in Kubernetes. */
  readonly allowPrivilegeEscalation?: boolean;
  readonly addCapabilities?: readonly string[];
  readonly dropCapabilities?: readonly string[];
  /** `RuntimeDefault`, `Unconfined` or the absolute path of a profile. */
  readonly seccomp?: string;
}

export interface PodSandbox {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly attempt: number;
  readonly handler: string;
  readonly state: "ready" | "notready";
  readonly ip: string;
  /** The file of its network namespace, where it has one. */
  readonly networkNamespace?: string;
  readonly createdAt: number;
}

export interface Mount {
  readonly guestPath: string;
  /** A directory or a file on this machine. */
  readonly hostPath: string;
  readonly readOnly: boolean;
  /** How mounts below it travel; `private` without one. */
  readonly propagation?: "private" | "host-to-container" | "bidirectional";
}

export interface ContainerPort {
  readonly name?: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

export interface ContainerConfig {
  readonly name: string;
  /** How often this container was created in its pod before. */
  readonly attempt: number;
  /** The reference in the pod's spec; it must have been pulled. */
  readonly image: string;
  /** Replaces the image's entrypoint. */
  readonly command?: readonly string[];
  /** Replaces the image's default arguments. */
  readonly args?: readonly string[];
  /** Added to the image's environment; the last of a name counts. */
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly mounts: readonly Mount[];
  readonly ports: readonly ContainerPort[];
  /** Absolute; lines have the CRI's log format. */
  readonly logPath: string;
  readonly memoryLimitBytes?: number;
  /** Of the processor; without it the container is BestEffort. */
  readonly resources?: ContainerResources;
  readonly security?: ContainerSecurity;
  /** The image's without one. */
  readonly workingDirectory?: string;
  /** Keeps the standard input open, for `attach`; `once` closes it with the first session. */
  readonly stdin?: "open" | "once";
  readonly tty?: boolean;
  /** See {@link PlannedContainer.handler}. */
  readonly handler?: string;
  /** Kept with the container and given back by its status: the kubelet's own notes. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

/** What a container asks for and may use at most; 1,000 is a whole processor. */
export interface ContainerResources {
  readonly qosClass: QosClass;
  readonly cpuRequestMillis?: number;
  readonly cpuLimitMillis?: number;
  /** What the pod as a whole asks for. */
  readonly podCpuRequestMillis: number;
}

export type ContainerState = "created" | "running" | "exited" | "unknown";
export type ExitReason = "Completed" | "Error" | "OOMKilled" | "ContainerCannotRun";

export interface ContainerStatus {
  readonly id: string;
  /** The name of the runtime it is in, where several are one. */
  readonly runtime?: string;
  readonly sandboxId: string;
  readonly podUid: string;
  readonly name: string;
  readonly attempt: number;
  readonly state: ContainerState;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  /** Set in state `exited`; 128 + n after signal n. */
  readonly exitCode?: number;
  readonly reason?: ExitReason;
  readonly message?: string;
  readonly image: string;
  /** `repository@sha256:…`. */
  readonly imageRef: string;
  readonly logPath: string;
  readonly pid?: number;
  /** What did not come out as asked without keeping the program from running. */
  readonly warnings: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerStats {
  readonly memoryBytes: number;
  readonly cpuNanoseconds: number;
  /** Of a container with a processor limit. */
  readonly throttling?: CpuThrottling;
  /** What it said beyond its log rate; absent when that was nothing. */
  readonly logBytesDropped?: number;
}

/** How often a processor limit held a container up, since its start. */
export interface CpuThrottling {
  /** Periods in which it wanted to run. */
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledNanoseconds: number;
}

/** Without `podUid`: everything on the node. */
export interface PodFilter {
  readonly podUid?: string;
}

export interface StopOptions {
  readonly gracePeriodMs: number;
}

export type ContainerEventType = "created" | "started" | "stopped" | "deleted";

export interface ContainerEvent {
  readonly type: ContainerEventType;
  readonly containerId: string;
  readonly sandboxId: string;
  readonly podUid: string;
}

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

export interface PullOptions {
  readonly auth?: RegistryCredentials;
  /** See {@link PlannedContainer.handler}. */
  readonly handler?: string;
  /** Only as much of the image as tells its kind. */
  readonly kindOnly?: true;
  readonly signal: AbortSignal;
}

export interface ImageStatus {
  readonly reference: string;
  /** `repository@sha256:…`. */
  readonly imageRef: string;
  readonly kind: "wasm" | "oci";
  readonly sizeBytes: number;
  /** Whom its program runs as when nobody says otherwise: a number or a name; root without one. */
  readonly user?: string;
}

export type RuntimeErrorCode =
  | "not-found"
  | "unsupported"
  | "invalid-config"
  | "exhausted"
  | "start-failed"
  | "slow-consumer"
  | "deadline"
  | "image-missing"
  | "image-unsupported"
  | "image-not-found"
  | "image-unreachable"
  | "image-unauthorized"
  | "image-invalid-reference"
  | "image-damaged";

/** An operational failure of a runtime; the message names what was asked and what was found. */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
