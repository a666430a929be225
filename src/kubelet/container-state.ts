import type {
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStatus as ApiContainerStatus,
  Pod,
} from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import type { ContainerStatus } from "../runtime/index.ts";
import type { Waiting } from "./pod-actions.ts";
import {
  containerIdOf,
  instancesOf,
  isInitContainer,
  isSidecar,
  type PodRuntimeState,
  recordedStatus,
} from "./pod-runtime-state.ts";

export interface ContainerNotes {
  /** Why a container does not run, by its name. */
  readonly waiting: ReadonlyMap<string, Waiting>;
  /** Container ids that passed their readiness probe (or have none). */
  readonly ready: ReadonlySet<string>;
  /** Container ids that passed their startup probe (or have none). */
  readonly started: ReadonlySet<string>;
  /** Termination messages taken from logs, by container id. */
  readonly messages: ReadonlyMap<string, string>;
  /** `wasi` of `wasi://<id>`, where a container does not say whose it is. */
  readonly scheme: string;
}

/** The status of one container, as it stands in the pod's status. */
export function containerStatusOf(
  pod: Pod,
  container: Container,
  observed: PodRuntimeState,
  notes: ContainerNotes,
): ApiContainerStatus {
  const { name } = container;
  const [current, previous] = instancesOf(observed, name);
  const known = recordedStatus(pod, name);
  const waiting = notes.waiting.get(name);
  const init = isInitContainer(pod, name);
  const restarting = waiting !== undefined && current?.state === "exited";
  const last = restarting ? current : previous;
  const lastState = last === undefined ? known?.lastState : terminatedState(last, notes);
  const ready = current !== undefined && isReady(container, current, init, notes);
  const started = current?.state === "running" && notes.started.has(current.id);
  return {
    name,
    image: container.image ?? "",
    imageID: current?.imageRef ?? "",
    ...(current === undefined ? {} : { containerID: containerIdOf(current, notes.scheme) }),
    restartCount: current?.attempt ?? known?.restartCount ?? 0,
    ready,
    started: init && !isSidecar(container) && ready ? false : started,
    state: stateOf(pod, current, waiting, notes),
    lastState: lastState ?? {},
  };
}

function isReady(
  container: Container,
  current: ContainerStatus,
  init: boolean,
  notes: ContainerNotes,
): boolean {
  if (init && !isSidecar(container)) return current.state === "exited" && current.exitCode === 0;
  return current.state === "running" && notes.ready.has(current.id);
}

function stateOf(
  pod: Pod,
  current: ContainerStatus | undefined,
  waiting: Waiting | undefined,
  notes: ContainerNotes,
): ContainerState {
  if (current?.state === "running") {
    return { running: { startedAt: rfc3339(current.startedAt ?? current.createdAt) } };
  }
  if (current?.state === "exited" && waiting === undefined) return terminatedState(current, notes);
  const initializes = (pod.spec?.initContainers ?? []).length > 0;
  const reason = initializes ? "PodInitializing" : "ContainerCreating";
  return { waiting: waiting ?? { reason } };
}

function terminatedState(container: ContainerStatus, notes: ContainerNotes): ContainerState {
  const { id, exitCode = 0, createdAt, startedAt, finishedAt } = container;
  const message = notes.messages.get(id) ?? container.message;
  const terminated: ContainerStateTerminated = {
    exitCode,
    reason: container.reason ?? (exitCode === 0 ? "Completed" : "Error"),
    ...(message === undefined || message === "" ? {} : { message }),
    startedAt: rfc3339(startedAt ?? createdAt),
    finishedAt: rfc3339(finishedAt ?? createdAt),
    containerID: containerIdOf(container, notes.scheme),
  };
  return { terminated };
}
