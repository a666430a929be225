import type { Pod } from "../api/index.ts";
import { parseQuantity, type Quantity } from "../apimachinery/index.ts";
import { podContainers } from "./pod-runtime-state.ts";

/** The reason of an evicted pod's status and of the event that tells it. */
export const EVICTED = "Evicted";
const STORAGE = "ephemeral-storage";

/** Bytes on the disk of what a pod has there. */
export interface LocalStorageUsage {
  /** By the volume's name. */
  readonly volumes: ReadonlyMap<string, number>;
  /** By the container's name, rotated files included. */
  readonly logs: ReadonlyMap<string, number>;
}

/** Whether anything of the pod is limited: nothing is measured otherwise. */
export function limitsLocalStorage({ spec }: Pod): boolean {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  return (
    containers.some(({ resources }) => resources?.limits?.[STORAGE] !== undefined) ||
    (spec?.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined)
  );
}

/**
 * Why the pod has to go, in the words of Kubernetes' kubelet, which looks at volumes, at the pod
 * and at its containers in this order. A module has no files of its own beside its volumes, so
 * that a container's part is its log. Undefined: it may stay. Pure.
 */
export function evictionMessage(pod: Pod, usage: LocalStorageUsage): string | undefined {
  return fullVolume(pod, usage) ?? fullPod(pod, usage) ?? fullContainer(pod, usage);
}

function fullVolume({ spec }: Pod, { volumes }: LocalStorageUsage): string | undefined {
  for (const { name, emptyDir } of spec?.volumes ?? []) {
    const limit = limitOf(emptyDir?.sizeLimit);
    if (limit === undefined || !exceeds(volumes.get(name), limit)) continue;
    return `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `;
  }
  return undefined;
}

function fullPod({ spec }: Pod, { volumes, logs }: LocalStorageUsage): string | undefined {
  const limits = (spec?.containers ?? []).flatMap(
    ({ resources }) => limitOf(resources?.limits?.[STORAGE]) ?? [],
  );
  const [first, ...others] = limits;
  if (first === undefined) return undefined;
  const limit = others.reduce((sum, one) => sum.add(one), first);
  // What is in memory counts as memory.
  const onDisk = (spec?.volumes ?? []).filter(({ emptyDir }) => emptyDir?.medium !== "Memory");
  const used =
    onDisk.reduce((sum, { name }) => sum + (volumes.get(name) ?? 0), 0) +
    [...logs.values()].reduce((sum, one) => sum + one, 0);
  if (!exceeds(used, limit)) return undefined;
  return `Pod ephemeral local storage usage exceeds the total limit of containers ${limit}. `;
}

function fullContainer(pod: Pod, { logs }: LocalStorageUsage): string | undefined {
  for (const { name, resources } of podContainers(pod)) {
    const limit = limitOf(resources?.limits?.[STORAGE]);
    if (limit === undefined || !exceeds(logs.get(name), limit)) continue;
    return `Container ${name} exceeded its local ephemeral storage limit "${limit}". `;
  }
  return undefined;
}

/** A limit of 0 bounds nothing, as in Kubernetes. */
function limitOf(text: string | undefined): Quantity | undefined {
  const limit = text === undefined ? undefined : parseQuantity(text);
  return limit !== undefined && limit.value() > 0 ? limit : undefined;
}

function exceeds(bytes: number | undefined, limit: Quantity): boolean {
  return bytes !== undefined && bytes > limit.value();
}
