import type { Container, Pod } from "../api/index.ts";
import type { ContainerStatus } from "../runtime/index.ts";
import {
  instancesOf,
  isSidecar,
  type PodRuntimeState,
  readySandbox,
  recordedStatus,
} from "./pod-runtime-state.ts";
import { backoffText, restartDelay } from "./restart-backoff.ts";
import { isEverRestarted, restartsAfter } from "./restart-policy.ts";

/** One thing to do for a pod; the kubelet does them in order. */
export type PodAction =
  | { readonly type: "create-sandbox"; readonly attempt: number }
  | {
      readonly type: "start-container";
      readonly name: string;
      readonly attempt: number;
      readonly annotations: Readonly<Record<string, string>>;
    }
  | {
      readonly type: "kill-container";
      readonly containerId: string;
      readonly name: string;
      /** Text of the event. */
      readonly message: string;
      readonly gracePeriodSeconds: number;
    }
  /** Everything that runs ends: the main containers at once, then the sidecars, the last first. */
  | {
      readonly type: "kill-all";
      readonly gracePeriodSeconds: number;
      /** Told as an event of the pod. */
      readonly why?: { readonly reason: string; readonly message: string };
    }
  | { readonly type: "remove-container"; readonly containerId: string };

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

/** What a pod asks for now: `waiting` explains the containers for which nothing can be done. */
export interface PodPlan {
  readonly actions: readonly PodAction[];
  readonly waiting: ReadonlyMap<string, Waiting>;
  /** When the plan may differ without anything having happened. */
  readonly checkAt?: number;
  /** Set when the pod as a whole ends, whatever its containers say. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

export interface PodActionInput {
  readonly pod: Pod;
  readonly observed: PodRuntimeState;
  readonly now: number;
  /** Container ids whose probe asked for an end, and which one: `liveness` or `startup`. */
  readonly unhealthy?: ReadonlyMap<string, "liveness" | "startup">;
  /** The node cannot keep the pod: it ends, and stays ended. */
  readonly eviction?: { readonly reason: string; readonly message: string };
  /** Running containers that passed their startup probe; sidecars let the next one begin then. */
  readonly started?: ReadonlySet<string>;
}

export const DEFAULT_GRACE_PERIOD_SECONDS = 30;
export const DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline";

/** What evicted containers have to end in, as in Kubernetes. */
const EVICTION_GRACE_SECONDS = 1;
/** Dead instances kept of each container: the one before the current, for `logs --previous`. */
const KEPT_INSTANCES = 2;

/** Decides what a pod needs now. Pure: the same input gives the same plan. */
export function computePodActions(input: PodActionInput): PodPlan {
  const { pod, observed, now } = input;
  const planner = new Planner(input);
  if (input.eviction !== undefined) {
    planner.killAll({ graceSeconds: EVICTION_GRACE_SECONDS });
    return planner.plan(input.eviction);
  }
  const deadlineAt = activeDeadline(pod);
  if (deadlineAt !== undefined && now >= deadlineAt) {
    const why = { reason: "DeadlineExceeded", message: DEADLINE_MESSAGE };
    planner.killAll({ why });
    return planner.plan(why);
  }
  if (deadlineAt !== undefined) planner.checkAgain(deadlineAt);
  planner.removeOldInstances();
  if (isTerminal(pod) || allFinished(pod, observed)) {
    planner.killAll({});
    return planner.plan();
  }
  if (readySandbox(observed) === undefined) {
    planner.add({ type: "create-sandbox", attempt: observed.sandboxes.length });
  }
  planner.restartUnhealthy();
  planner.runEphemeral();
  if (planner.initialize()) {
    for (const container of pod.spec?.containers ?? []) planner.run(container);
  }
  return planner.plan();
}

class Planner {
  readonly #input: PodActionInput;
  readonly #actions: PodAction[] = [];
  readonly #waiting = new Map<string, Waiting>();
  readonly #killed = new Set<string>();
  #checkAt: number | undefined;

  constructor(input: PodActionInput) {
    this.#input = input;
  }

  plan(failure?: PodPlan["failure"]): PodPlan {
    return {
      actions: this.#actions,
      waiting: this.#waiting,
      ...(this.#checkAt === undefined ? {} : { checkAt: this.#checkAt }),
      ...(failure === undefined ? {} : { failure }),
    };
  }

  add(action: PodAction): void {
    this.#actions.push(action);
  }

  checkAgain(at: number): void {
    this.#checkAt = Math.min(this.#checkAt ?? at, at);
  }

  killAll(options: {
    readonly graceSeconds?: number;
    readonly why?: { readonly reason: string; readonly message: string };
  }): void {
    const { pod, observed } = this.#input;
    if (!observed.containers.some(({ state }) => state === "running")) return;
    const { graceSeconds, why } = options;
    const ofPod = pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_PERIOD_SECONDS;
    const gracePeriodSeconds = graceSeconds ?? ofPod;
    this.add({ type: "kill-all", gracePeriodSeconds, ...(why === undefined ? {} : { why }) });
  }

  /** Containers added to a pod that exists already begin once, and are never restarted. */
  runEphemeral(): void {
    for (const { name } of this.#input.pod.spec?.ephemeralContainers ?? []) {
      if (this.#current(name) !== undefined) continue;
      const attempt = restartsRecorded(this.#input.pod, name);
      // What ran before and was forgotten by the runtime has had its turn.
      if (attempt === 0) this.add({ type: "start-container", name, attempt, annotations: {} });
    }
  }

  removeOldInstances(): void {
    const names = new Set(this.#input.observed.containers.map(({ name }) => name));
    for (const name of names) {
      const instances = instancesOf(this.#input.observed, name);
      const left = instances.filter(({ state }) => state === "created");
      // One that was created and never started belongs to a server that ended in between.
      const old = instances.slice(KEPT_INSTANCES).filter(({ state }) => state === "exited");
      for (const { id } of [...left, ...old]) {
        this.add({ type: "remove-container", containerId: id });
      }
    }
  }

  restartUnhealthy(): void {
    const { pod, observed, unhealthy } = this.#input;
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    for (const container of containers) {
      const current = instancesOf(observed, container.name)[0];
      if (current?.state !== "running") continue;
      const probe = unhealthy?.get(current.id);
      if (probe !== undefined) {
        const returns = isEverRestarted(pod, container);
        const outcome = returns ? "will be restarted" : "will be killed";
        const why = `Container ${container.name} failed ${probe} probe, ${outcome}`;
        const { livenessProbe, startupProbe } = container;
        const failed = probe === "liveness" ? livenessProbe : startupProbe;
        this.#kill(current, why, failed?.terminationGracePeriodSeconds);
      } else if (container.image !== undefined && container.image !== current.image) {
        const why = `Container ${container.name} definition changed, will be restarted`;
        this.#kill(current, why);
      }
    }
  }

  /** Starts the next init container; true when the main ones may run. */
  initialize(): boolean {
    const { pod, observed } = this.#input;
    const mains = new Set((pod.spec?.containers ?? []).map(({ name }) => name));
    const initialized = observed.containers.some(({ name }) => mains.has(name));
    for (const container of pod.spec?.initContainers ?? []) {
      const sidecar = isSidecar(container);
      const current = this.#current(container.name);
      if (initialized && !sidecar) continue;
      if (!sidecar && current?.state === "exited" && current.exitCode === 0) continue;
      this.run(container);
      const running = current?.state === "running" && !this.#killed.has(current.id);
      if (sidecar && running && this.#isStarted(current)) continue;
      if (!initialized) return false;
    }
    return true;
  }

  run(container: Container): void {
    const { now, pod } = this.#input;
    const { name } = container;
    const current = this.#current(name);
    if (current === undefined) {
      const attempt = restartsRecorded(this.#input.pod, name);
      return this.add({ type: "start-container", name, attempt, annotations: {} });
    }
    if (current.state !== "exited" || !restartsAfter(pod, container, exitCodeOf(current))) return;
    const { delayMs, next } = restartDelay(current, now);
    const dueAt = (current.finishedAt ?? now) + delayMs;
    if (now >= dueAt) {
      const attempt = current.attempt + 1;
      return this.add({ type: "start-container", name, attempt, annotations: next });
    }
    const { name: podName, namespace, uid } = pod.metadata;
    const backoff = `back-off ${backoffText(delayMs)} restarting failed`;
    const message = `${backoff} container=${name} pod=${podName}_${namespace}(${uid})`;
    this.#waiting.set(name, { reason: "CrashLoopBackOff", message });
    this.checkAgain(dueAt);
  }

  #current(name: string): ContainerStatus | undefined {
    return instancesOf(this.#input.observed, name).find(({ state }) => state !== "created");
  }

  #isStarted(container: ContainerStatus): boolean {
    return this.#input.started?.has(container.id) ?? true;
  }

  #kill(container: ContainerStatus, message: string, graceSeconds?: number): void {
    if (this.#killed.has(container.id)) return;
    this.#killed.add(container.id);
    const { terminationGracePeriodSeconds: grace } = this.#input.pod.spec ?? {};
    this.add({
      type: "kill-container",
      containerId: container.id,
      name: container.name,
      message,
      gracePeriodSeconds: graceSeconds ?? grace ?? DEFAULT_GRACE_PERIOD_SECONDS,
    });
  }
}

/** Succeeded and Failed are final: such a pod never runs again. */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Every container ended and none is to be started again. */
export function allFinished(pod: Pod, observed: PodRuntimeState): boolean {
  const ended = (container: Container): boolean => {
    const current = instancesOf(observed, container.name)[0];
    if (current?.state !== "exited") return false;
    return !restartsAfter(pod, container, exitCodeOf(current));
  };
  const init = (pod.spec?.initContainers ?? []).filter((container) => !isSidecar(container));
  const failedInit = init.some((container) => {
    const current = instancesOf(observed, container.name)[0];
    return ended(container) && current?.exitCode !== 0;
  });
  if (failedInit) return true;
  const mains = pod.spec?.containers ?? [];
  return mains.length > 0 && mains.every(ended);
}

function exitCodeOf({ exitCode = 0 }: ContainerStatus): number {
  return exitCode;
}

/** After the runtime forgot a container, its count goes on where the status stands. */
function restartsRecorded(pod: Pod, name: string): number {
  const known = recordedStatus(pod, name);
  if (known?.containerID === undefined || known.containerID === "") return known?.restartCount ?? 0;
  return known.restartCount + 1;
}

function activeDeadline(pod: Pod): number | undefined {
  const seconds = pod.spec?.activeDeadlineSeconds;
  const start = Date.parse(pod.status?.startTime ?? "");
  return seconds === undefined || Number.isNaN(start) ? undefined : start + seconds * 1000;
}
