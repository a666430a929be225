import type { Pod } from "../api/index.ts";
import { parseQuantity } from "../apimachinery/index.ts";
import type { NodeCapacity } from "./kubelet-options.ts";

/** What every node takes, as in Kubernetes. */
export const LEAST_MAX_PODS = 110;
/** What a /20 of addresses has room for; a node gets no more. */
export const MOST_MAX_PODS = 4094;
/** A small WASM pod with its worker takes less; the rest of a machine's memory is for others. */
const MEMORY_PER_POD_BYTES = 10 * 1024 * 1024;

/** The pods a node takes: as it was told, or by its memory, so that 8 GiB are good for 819. */
export function maxPodsOf({ maxPods, memoryBytes }: NodeCapacity): number {
  const byMemory = Math.floor(memoryBytes / MEMORY_PER_POD_BYTES);
  return maxPods ?? Math.min(Math.max(byMemory, LEAST_MAX_PODS), MOST_MAX_PODS);
}

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** What a pod asks of its node. */
export interface PodRequests {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ephemeralStorageBytes: number;
}

/** What the pods of a node ask of it together. */
export interface NodeUse extends PodRequests {
  readonly pods: number;
}

export function requestsOf(pod: Pod): PodRequests {
  return {
    cpuMillis: requested(pod, "cpu", "milli"),
    memoryBytes: requested(pod, "memory", "whole"),
    ephemeralStorageBytes: requested(pod, "ephemeral-storage", "whole"),
  };
}

/**
 * Whether a pod new to this node fits beside the others, which use so much. The scheduler decided
 * on what it knew, and a pod may have been bound by hand. Undefined: admitted.
 */
export function refuseAdmission(
  pod: Pod,
  used: NodeUse,
  node: { readonly name: string; readonly capacity: NodeCapacity },
): Refusal | undefined {
  const { capacity, name } = node;
  if (pod.spec?.nodeName !== name) {
    return { reason: "NodeName", message: `Pod was bound to ${pod.spec?.nodeName}, not ${name}` };
  }
  const selector = Object.entries(pod.spec?.nodeSelector ?? {});
  const wrongOs = selector.find(([key, value]) => key === "kubernetes.io/os" && value !== "linux");
  if (wrongOs !== undefined) {
    return { reason: "NodeAffinity", message: "Pod was rejected: node(s) didn't match selector" };
  }
  const maxPods = maxPodsOf(capacity);
  if (used.pods >= maxPods) return exhausted("pods", 1, used.pods, maxPods);
  const own = requestsOf(pod);
  const checks = [
    ["cpu", "cpuMillis", capacity.cpuMillis],
    ["memory", "memoryBytes", capacity.memoryBytes],
    ["ephemeral-storage", "ephemeralStorageBytes", capacity.ephemeralStorageBytes],
  ] as const;
  for (const [resource, field, limit] of checks) {
    const wanted = own[field];
    if (wanted === 0) continue;
    if (used[field] + wanted > limit) return exhausted(resource, wanted, used[field], limit);
  }
  return undefined;
}

function exhausted(resource: string, wanted: number, used: number, capacity: number): Refusal {
  return {
    reason: `OutOf${resource}`,
    message:
      `Pod was rejected: Node didn't have enough resource: ${resource}, ` +
      `requested: ${wanted}, used: ${used}, capacity: ${capacity}`,
  };
}

/** Main containers run together; an init container counts only where it needs more than those. */
export function requested(pod: Pod, resource: string, unit: "milli" | "whole"): number {
  const amount = (text: string | undefined): number => {
    if (text === undefined) return 0;
    return unit === "milli" ? parseQuantity(text).milliValue() : parseQuantity(text).value();
  };
  const main = (pod.spec?.containers ?? [])
    .map(({ resources }) => amount(resources?.requests?.[resource]))
    .reduce((sum, one) => sum + one, 0);
  const init = (pod.spec?.initContainers ?? []).map(({ resources }) =>
    amount(resources?.requests?.[resource]),
  );
  return Math.max(main, ...init);
}
