import type { Pod } from "../api/index.ts";
import type { Client } from "../client/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import type { ContainerRuntime } from "../runtime/index.ts";
import type { ClusterDns } from "./pod-dns.ts";

export interface NodeCapacity {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ephemeralStorageBytes: number;
  /** Default: by memory, 110 at least. */
  readonly maxPods?: number;
}

export interface KubeletOptions {
  readonly nodeName: string;
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Volumes live under `<rootDirectory>/pods/<uid>/volumes`. */
  readonly rootDirectory: string;
  /** Volumes with tokens live here instead, in memory where there is such a place. */
  readonly memoryDirectory?: string;
  /** Logs live under `<logDirectory>/<namespace>_<pod>_<uid>/<container>/<attempt>.log`. */
  readonly logDirectory: string;
  /** InternalIP of the node. */
  readonly nodeAddress: string;
  /**
   * The range of a node that brings its own, which is told with the node's creation. Without it
   * pods wait for the range that the cluster gives (`spec.podCIDR`).
   */
  readonly podCidr?: string;
  /** "host:port" where this node answers the others; told as an annotation. */
  readonly peerAddress?: string;
  readonly capacity: NodeCapacity;
  /**
   * Told when a pod becomes ready or ceases to be, its status with it, before the API server is:
   * for who waits on this node.
   */
  readonly onReadiness?: (pod: Pod, readiness: { readonly ready: boolean }) => void;
  /** For example `v1.36.0+kubun0.1.0`. */
  readonly kubeletVersion: string;
  /** Facts of the machine for nodeInfo; all have defaults. */
  readonly machine?: {
    readonly architecture?: string;
    readonly kernelVersion?: string;
    readonly osImage?: string;
    readonly machineId?: string;
    readonly bootId?: string;
  };
  /** Where containers find the cluster's names. */
  readonly clusterDns?: ClusterDns;
  /** How often what pods take of the disk is compared with their limits; default 10 s. */
  readonly localStorageIntervalMs?: number;
  /** Port of the kubelet's HTTP API for status.daemonEndpoints; none is told without it. */
  readonly kubeletPort?: number;
  readonly labels?: Readonly<Record<string, string>>;
}
