import type { Clock, Logger, Random } from "../../lib/index.ts";
import type { ContainerRuntime } from "../runtime.ts";
import type { CriStreams } from "./cri-streams.ts";
import type { PodNetworks } from "./pod-networks.ts";
import type { RegistryRoute } from "./registry-routes.ts";

export interface OciRuntimeOptions {
  /** Images and snapshots of our own containerd, its configuration and log; made if missing. */
  readonly directory: string;
  /** Its socket; keep it short, because such paths may have 107 bytes at most. */
  readonly socketDirectory: string;
  /** `unix:///…` of a CRI that runs already; without it we start a containerd of our own. */
  readonly endpoint?: string;
  readonly networks: PodNetworks;
  readonly streams: CriStreams;
  /** Which registries are asked elsewhere than where their name says; asked for at each pull. */
  readonly registries?: () => readonly RegistryRoute[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Containers behind the CRI. Nothing is started, read or connected before the first verb that needs
 * it; every verb does so by itself.
 */
export interface OciRuntime extends ContainerRuntime {
  /**
   * Adopts what an earlier server left: when there is a containerd of ours with pods, it is
   * started if it does not run, and its pods are listed; when there is none, nothing happens.
   * Call it before any verb. Failures are logged, and met again by the verbs.
   */
  start(): Promise<void>;
  /** Says why no container can run here, or undefined. Starts nothing. */
  obstacle(): string | undefined;
  /** Lets go; containerd and the pods run on. */
  shutdown(): void;
  /** Ends our own containerd when it has no pods any more; called after {@link shutdown} too. */
  endDaemon(): Promise<void>;
}

/** The container runtime for OCI images, over the CRI of a containerd. */
export function createOciRuntime(options: OciRuntimeOptions): OciRuntime {
  throw new Error(`not there yet: ${options.directory}`);
}
