import type { HostPort, PodSandboxConfig, RuntimeConfig } from "../runtime.ts";

/** One sandbox of a pod: a pod that lost its sandbox gets another, with the next attempt. */
export interface SandboxKey {
  readonly uid: string;
  readonly attempt: number;
}

/** A sandbox that the container runtime knows, alive or not yet removed. */
export interface KnownSandbox extends SandboxKey {
  readonly name: string;
  readonly namespace: string;
  /** Empty on the machine's own network. */
  readonly ip: string;
  /** Absent on the machine's own network, and once the sandbox was stopped. */
  readonly networkNamespace?: string;
  readonly hostPorts: readonly HostPort[];
  readonly ready: boolean;
}

/**
 * Where container pods get their addresses and their network: implemented in `network/`. The
 * container runtime makes a pod's network namespace and calls the CNI plugin of
 * {@link pluginDirectory}, as configured in {@link configDirectory}, with ADD and DEL; the plugin
 * finds what was decided beforehand under the pod's uid (`K8S_POD_UID` of CNI_ARGS). A containerd
 * calls a plugin named `loopback` too, which must be there.
 */
export interface PodNetworks {
  /** Holds the executables `loopback` and the plugin that the configuration names. */
  readonly pluginDirectory: string;
  /** Holds exactly one CNI configuration list. */
  readonly configDirectory: string;
  /**
   * Writes both directories and makes the bridge and what belongs to it. Called before the first
   * pod, and again whenever the container runtime was started. Idempotent. Errors: RuntimeError
   * `unsupported`, whose message says what is missing.
   */
  open(): Promise<void>;
  /** The node's range, as soon as it is known and whenever it changed. Errors: `invalid-config`. */
  updateRange(config: RuntimeConfig): void;
  /**
   * Chooses the address of a pod that does not use the machine's own network, and leaves it where
   * the plugin looks. Errors: RuntimeError `exhausted`, `unsupported`.
   */
  prepare(config: PodSandboxConfig): Promise<{ readonly ip: string }>;
  /** The network of a sandbox is up: what leads to it from outside, as host ports. */
  started(config: PodSandboxConfig, sandbox: KnownSandbox): Promise<void>;
  /** The sandbox is gone, or never came to be: its address is free again. Idempotent. */
  release(key: SandboxKey): Promise<void>;
  /** These are all there are: what belongs to others of ours is taken away. */
  reconcile(known: readonly KnownSandbox[]): Promise<void>;
}
