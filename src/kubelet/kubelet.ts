import type { Hono } from "hono";
import type { Client } from "../client/index.ts";
import { AssertionError, type Clock, type Logger, type Random } from "../lib/index.ts";
import type { ContainerRuntime } from "../runtime/index.ts";

export interface NodeCapacity {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ephemeralStorageBytes: number;
  /** Default 110. */
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
  /** Logs live under `<logDirectory>/<namespace>_<pod>_<uid>/<container>/<attempt>.log`. */
  readonly logDirectory: string;
  /** InternalIP of the node. */
  readonly nodeAddress: string;
  readonly podCidr: string;
  readonly capacity: NodeCapacity;
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
  /** Port of the kubelet's HTTP API for status.daemonEndpoints; none is told without it. */
  readonly kubeletPort?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Kubelet {
  /** GET /containerLogs/{namespace}/{pod}/{container}, /pods, /healthz. */
  readonly app: Hono;
  /** Resolves when the node is registered and the first sync of its pods began. */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when every pod worker rests: nothing more is written after an abort. */
  drained(): Promise<void>;
  /** Ends every pod of this node without touching its API objects (Ctrl-C of `kubun up`). */
  terminateAll(): Promise<void>;
}

export function createKubelet(options: KubeletOptions): Kubelet {
  throw new AssertionError(`no kubelet for ${options.nodeName} yet`);
}
