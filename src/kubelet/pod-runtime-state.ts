import type { Container, ContainerStatus as ApiContainerStatus, Pod } from "../api/index.ts";
import type { ContainerStatus, PodSandbox } from "../runtime/index.ts";

/** What the runtime has of one pod. */
export interface PodRuntimeState {
  /** Newest first. */
  readonly sandboxes: readonly PodSandbox[];
  readonly containers: readonly ContainerStatus[];
}

/** The sandbox that the pod lives in. */
export function readySandbox(state: PodRuntimeState): PodSandbox | undefined {
  return state.sandboxes.find((sandbox) => sandbox.state === "ready");
}

/** All instances of one container of the pod, the newest first. */
export function instancesOf(state: PodRuntimeState, name: string): ContainerStatus[] {
  return state.containers
    .filter((container) => container.name === name)
    .sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
}

export function isInitContainer(pod: Pod, name: string): boolean {
  return (pod.spec?.initContainers ?? []).some((container) => container.name === name);
}

/** An init container that stays: it runs beside the main ones and is always restarted. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

/** Every container of the pod, those included that were added to debug it. */
export function podContainers(pod: Pod): Container[] {
  const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? {};
  return [...initContainers, ...containers, ...ephemeralContainers];
}

/** What the API server was told of a container last. */
export function recordedStatus(pod: Pod, name: string): ApiContainerStatus | undefined {
  const { containerStatuses, initContainerStatuses, ephemeralContainerStatuses } = pod.status ?? {};
  for (const list of [containerStatuses, initContainerStatuses, ephemeralContainerStatuses]) {
    const found = list?.find((one) => one.name === name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `containerd://…`: a container as a pod's status names it. */
export function containerIdOf({ id, runtime }: ContainerStatus, scheme: string): string {
  return `${runtime ?? scheme}://${id}`;
}
