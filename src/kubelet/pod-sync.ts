import { rmSync } from "node:fs";
import type { Pod, PodStatus } from "../api/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import { type ContainerRuntime, logFiles } from "../runtime/index.ts";
import type { Refusal } from "./admission.ts";
import type { ContainerStarter } from "./container-starter.ts";
import type { PodReferences } from "./environment.ts";
import { POST_START_HOOK_ERROR } from "./lifecycle-hook.ts";
import { nextCheckAt } from "./next-check.ts";
import {
  computePodActions,
  DEFAULT_GRACE_PERIOD_SECONDS,
  type PodAction,
  type PodPlan,
  type Waiting,
} from "./pod-actions.ts";
import type { PodEvents } from "./pod-events.ts";
import type { Allocatable } from "./pod-fields.ts";
import { podContainers, type PodRuntimeState, readySandbox } from "./pod-runtime-state.ts";
import { podStatusOf } from "./pod-status.ts";
import { endedPhase, type PodTermination } from "./pod-termination.ts";
import { type PodVolumes, VolumeError } from "./pod-volumes.ts";
import type { PodMemory, SyncResult } from "./pod-worker.ts";
import type { ReferenceCache } from "./reference-cache.ts";
import { INITIAL_BACKOFF_MS } from "./restart-backoff.ts";
import { ImageFailure, type SandboxStarter } from "./sandbox-starter.ts";
import type { ServiceAccountPodTokens } from "./service-account-token.ts";
import { StartFailure } from "./start-failure.ts";
import type { StatusWriter } from "./status-writer.ts";
import { terminationMessage } from "./termination-message.ts";

export interface PodSyncOptions {
  readonly runtime: ContainerRuntime;
  readonly references: ReferenceCache;
  readonly volumes: PodVolumes;
  readonly tokens: ServiceAccountPodTokens;
  readonly starter: ContainerStarter;
  readonly sandboxes: SandboxStarter;
  readonly termination: PodTermination;
  readonly statuses: StatusWriter;
  readonly events: PodEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hostIp: string;
  readonly allocatable: Allocatable;
  /** See KubeletOptions. */
  readonly onReadiness?: (pod: Pod, readiness: { readonly ready: boolean }) => void;
  /** Why the node does not take the pod; undefined: it does. */
  readonly refuse: (pod: Pod) => Refusal | undefined;
}

/** Plans in a row in one sync; a pod that needs more gets its next turn at once. */
const MAX_ROUNDS = 20;
/**
 * The first status of a pod waits this long for its containers and their first readiness probe: a
 * pod that is ready by then is told in one patch instead of three.
 */
export const FIRST_STATUS_DELAY_MS = 100;
/** It waits longer by this for each start under way, because starts wait for one another. */
const DELAY_PER_START_MS = 30;
const MAX_FIRST_STATUS_DELAY_MS = 10_000;
/** Containers that start at the same time on a node that is not called busy. */
const BUSY_STARTS = 32;
/** A pod that the API server no longer has gets this long. */
const GONE_GRACE_SECONDS = 1;

/** Logs go with their container, so that a crash loop does not fill the disk. */
function removeLog(observed: PodRuntimeState, containerId: string): void {
  const removed = observed.containers.find(({ id }) => id === containerId);
  const kept = observed.containers.some(
    ({ id, logPath }) => id !== containerId && logPath === removed?.logPath,
  );
  if (removed === undefined || kept) return;
  for (const path of [...logFiles(removed.logPath), `${removed.logPath}.dropped`]) {
    rmSync(path, { force: true });
  }
}

/** Makes the runtime and the API server agree about one pod. */
export class PodSync {
  readonly #options: PodSyncOptions;
  /** Container starts under way. */
  #starting = 0;

  constructor(options: PodSyncOptions) {
    this.#options = options;
  }

  /** Whether so many containers start that those which run have little of the processors. */
  get isBusy(): boolean {
    return this.#starting > BUSY_STARTS;
  }

  get #firstStatusDelayMs(): number {
    const delayMs = FIRST_STATUS_DELAY_MS + DELAY_PER_START_MS * this.#starting;
    return Math.min(delayMs, MAX_FIRST_STATUS_DELAY_MS);
  }

  async sync(memory: PodMemory): Promise<SyncResult> {
    const { pod } = memory;
    if (memory.gone) return this.#forget(memory);
    if (pod.metadata.deletionTimestamp !== undefined) return this.#terminate(memory);
    const observed = await this.#observe(memory);
    const refusal = this.#refusal(memory, observed);
    if (refusal !== undefined) return this.#refused(memory, refusal);
    const references = await this.#options.references.acquire(pod);
    return this.#converge(memory, observed, references);
  }

  async #converge(
    memory: PodMemory,
    first: PodRuntimeState,
    references: PodReferences,
  ): Promise<SyncResult> {
    let observed = first;
    for (let round = 0; ; round++) {
      const beganAt = this.#options.clock.now();
      const plan = this.#plan(memory, observed);
      const progress = await this.#perform(memory, plan, observed, references);
      observed = await this.#observe(memory);
      const after = progress ? this.#plan(memory, observed) : plan;
      await this.#publish(memory, observed, after);
      this.#freeDisk(memory, observed);
      const interrupted = memory.gone || memory.pod.metadata.deletionTimestamp !== undefined;
      if (!progress || interrupted || round >= MAX_ROUNDS) {
        const again = round >= MAX_ROUNDS ? beganAt : after.checkAt;
        return this.#result(memory, again, beganAt);
      }
    }
  }

  #result(memory: PodMemory, checkAt: number | undefined, beganAt: number): SyncResult {
    const retries = [...memory.failures.values()].map(({ retryAt }) => retryAt);
    const at = nextCheckAt({ beganAt, checkAt, retries });
    return { finished: false, ...(at === undefined ? {} : { checkAt: at }) };
  }

  async #observe({ uid }: PodMemory): Promise<PodRuntimeState> {
    const { runtime } = this.#options;
    const [sandboxes, containers] = await Promise.all([
      runtime.listPodSandboxes({ podUid: uid }),
      runtime.listContainers({ podUid: uid }),
    ]);
    return {
      sandboxes: [...sandboxes].sort((a, b) => b.attempt - a.attempt),
      containers,
    };
  }

  #plan(memory: PodMemory, observed: PodRuntimeState): PodPlan {
    memory.probes.follow(memory.pod, observed);
    const { unhealthy, started } = memory.probes.results();
    const now = this.#options.clock.now();
    const eviction = memory.eviction === undefined ? {} : { eviction: memory.eviction };
    return computePodActions({ pod: memory.pod, observed, now, unhealthy, started, ...eviction });
  }

  #refusal(memory: PodMemory, observed: PodRuntimeState): Refusal | undefined {
    const { phase } = memory.pod.status ?? {};
    const known = observed.sandboxes.length > 0 || phase === "Running";
    memory.admitted ||= known;
    if (memory.admitted || phase === "Succeeded" || phase === "Failed") return undefined;
    const refusal = this.#options.refuse(memory.pod);
    memory.admitted = refusal === undefined;
    return refusal;
  }

  #refused(memory: PodMemory, { reason, message }: Refusal): SyncResult {
    const { statuses, events } = this.#options;
    events.pod(memory.pod, "Warning", reason, message);
    const status: PodStatus = { phase: "Failed", reason, message };
    statuses.set(memory.pod, status);
    return { finished: false };
  }

  /** Does what the plan says; false when nothing could be done. */
  async #perform(
    memory: PodMemory,
    plan: PodPlan,
    observed: PodRuntimeState,
    references: PodReferences,
  ): Promise<boolean> {
    let progress = false;
    if (memory.referencesChanged) await this.#takeUpReferences(memory, observed, references);
    for (const action of plan.actions) {
      if (memory.interruption.signal.aborted) return progress;
      progress = (await this.#act(memory, action, observed, references)) || progress;
      // A new sandbox changes what everything after it starts in: plan again.
      if (action.type === "create-sandbox") return progress;
    }
    return progress;
  }

  async #act(
    memory: PodMemory,
    action: PodAction,
    observed: PodRuntimeState,
    references: PodReferences,
  ): Promise<boolean> {
    const { pod } = memory;
    const { runtime, termination } = this.#options;
    switch (action.type) {
      case "create-sandbox":
        return this.#createSandbox(memory, action.attempt, references);
      case "remove-container":
        await runtime.removeContainer(action.containerId);
        removeLog(observed, action.containerId);
        return true;
      case "kill-container": {
        const status = observed.containers.find(({ id }) => id === action.containerId);
        if (status === undefined) return false;
        const { message, gracePeriodSeconds: graceSeconds } = action;
        await termination.stop(pod, observed, { status, message, graceSeconds });
        return true;
      }
      case "kill-all":
        return this.#killAll(memory, action, observed);
      case "start-container":
        return this.#start(memory, action, observed, references);
    }
  }

  async #killAll(
    { pod }: PodMemory,
    { why, gracePeriodSeconds }: Extract<PodAction, { type: "kill-all" }>,
    observed: PodRuntimeState,
  ): Promise<boolean> {
    const { termination, events } = this.#options;
    if (why !== undefined) events.pod(pod, "Normal", why.reason, why.message);
    await termination.stopAll(pod, observed, gracePeriodSeconds);
    return true;
  }

  async #createSandbox(
    memory: PodMemory,
    attempt: number,
    references: PodReferences,
  ): Promise<boolean> {
    const { events, clock, sandboxes } = this.#options;
    const { pod, failures, interruption } = memory;
    const now = clock.now();
    if ([...failures.values()].some(({ retryAt }) => now < retryAt)) return false;
    failures.clear();
    try {
      const { signal } = interruption;
      await sandboxes.start(pod, attempt, { references, signal });
      return true;
    } catch (error) {
      if (error instanceof ImageFailure) {
        const { container, failure } = error;
        failures.set(container, { failure, retryAt: now + failure.retryAfterMs });
        return false;
      }
      const message = `Failed to create pod sandbox: ${(error as Error).message}`;
      events.pod(pod, "Warning", "FailedCreatePodSandBox", message);
      const failure = new StartFailure("", message, { retryAfterMs: INITIAL_BACKOFF_MS });
      failures.set("", { failure, retryAt: now + INITIAL_BACKOFF_MS });
      return false;
    }
  }

  async #start(
    memory: PodMemory,
    action: Extract<PodAction, { type: "start-container" }>,
    observed: PodRuntimeState,
    references: PodReferences,
  ): Promise<boolean> {
    const { clock, starter } = this.#options;
    const { pod, failures } = memory;
    const known = failures.get(action.name);
    if (known !== undefined && clock.now() < known.retryAt) return false;
    const container = podContainers(pod).find(({ name }) => name === action.name);
    const sandbox = readySandbox(observed);
    if (container === undefined || sandbox === undefined) return false;
    if (!(await this.#prepareVolumes(memory, sandbox.ip || this.#options.hostIp, references)))
      return false;
    this.#tellWaiting(memory, observed);
    this.#starting++;
    try {
      const { signal } = memory.interruption;
      await starter.start({ pod, container, sandbox, action, references, signal });
      failures.delete(action.name);
      return true;
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      const retryAt = clock.now() + error.retryAfterMs;
      failures.set(action.name, { failure: error, retryAt });
      // The container is there, and what comes next is planned from how it ended.
      return error.reason === "RunContainerError" || error.reason === POST_START_HOOK_ERROR;
    } finally {
      this.#starting--;
    }
  }

  /** False: the pod stays in ContainerCreating until the volume can be had. */
  async #prepareVolumes(
    memory: PodMemory,
    podIp: string,
    references: PodReferences,
  ): Promise<boolean> {
    const { volumes, clock, hostIp, allocatable, events } = this.#options;
    const { pod } = memory;
    try {
      const addresses = { podIp, hostIp };
      const tokens = await this.#options.tokens.of(pod);
      volumes.prepare({ pod, addresses, allocatable, references, tokens }, clock.now());
      memory.failures.delete(" volumes");
      return true;
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      events.pod(pod, "Warning", "FailedMount", error.message);
      const failure = new StartFailure("", error.message, { retryAfterMs: INITIAL_BACKOFF_MS });
      memory.failures.set(" volumes", { failure, retryAt: clock.now() + INITIAL_BACKOFF_MS });
      return false;
    }
  }

  /** Volumes of running containers follow their objects; starts that lacked one are tried again. */
  async #takeUpReferences(
    memory: PodMemory,
    observed: PodRuntimeState,
    references: PodReferences,
  ): Promise<void> {
    memory.referencesChanged = false;
    for (const [name, { failure }] of memory.failures) {
      const config = failure.reason === "CreateContainerConfigError" || failure.reason === "";
      if (config) memory.failures.delete(name);
    }
    const sandbox = readySandbox(observed);
    const runs = observed.containers.some(({ state }) => state === "running");
    if (sandbox !== undefined && runs)
      await this.#prepareVolumes(memory, sandbox.ip || this.#options.hostIp, references);
  }

  /** What an evicted pod filled the disk with goes when nobody writes there any more. */
  #freeDisk(memory: PodMemory, observed: PodRuntimeState): void {
    const runs = observed.containers.some(({ state }) => state === "running");
    if (memory.eviction !== undefined && !runs) this.#options.volumes.remove(memory.uid);
  }

  /** Says that the pod is being worked on, unless it will run in a moment. */
  #tellWaiting(memory: PodMemory, observed: PodRuntimeState): void {
    if (observed.containers.length > 0) return;
    const status = this.#status(memory, observed, { actions: [], waiting: new Map() });
    this.#options.statuses.set(memory.pod, status, { delayMs: this.#firstStatusDelayMs });
  }

  async #publish(memory: PodMemory, observed: PodRuntimeState, plan: PodPlan): Promise<void> {
    await this.#readMessages(memory, observed);
    this.#tellBackoffs(memory, observed, plan);
    const status = this.#status(memory, observed, plan);
    const untouched = observed.containers.length === 0 && memory.failures.size === 0;
    const early = untouched || memory.probes.undecided;
    const delay = early ? { delayMs: this.#firstStatusDelayMs } : {};
    this.#tellReadiness(memory.pod, status);
    this.#options.statuses.set(memory.pod, status, delay);
  }

  #tellReadiness(pod: Pod, status: PodStatus): void {
    const { onReadiness, statuses } = this.#options;
    if (onReadiness === undefined) return;
    const ready = isReady(status);
    if (ready !== isReady(statuses.current(pod))) onReadiness({ ...pod, status }, { ready });
  }

  #status(memory: PodMemory, observed: PodRuntimeState, plan: PodPlan): PodStatus {
    const { statuses, clock, hostIp, runtime } = this.#options;
    const { ready, started } = memory.probes.results();
    const waiting = new Map<string, Waiting>();
    for (const [name, { failure }] of memory.failures) {
      if (failure.reason === "") continue;
      waiting.set(name, { reason: failure.reason, message: failure.message });
    }
    for (const [name, why] of plan.waiting) waiting.set(name, why);
    return podStatusOf({
      pod: memory.pod,
      previous: statuses.current(memory.pod),
      observed,
      notes: { waiting, ready, started, messages: memory.messages, scheme: runtime.name },
      now: clock.now(),
      hostIp,
      ...(plan.failure === undefined ? {} : { failure: plan.failure }),
    });
  }

  async #readMessages(memory: PodMemory, observed: PodRuntimeState): Promise<void> {
    const specs = new Map(podContainers(memory.pod).map((one) => [one.name, one]));
    for (const status of observed.containers) {
      const container = specs.get(status.name);
      if (container === undefined || memory.messages.has(status.id)) continue;
      const directory = this.#options.volumes.podDirectory(memory.pod);
      const message = await terminationMessage(container, status, directory);
      if (message !== undefined) memory.messages.set(status.id, message);
    }
    const present = new Set(observed.containers.map(({ id }) => id));
    for (const id of memory.messages.keys()) if (!present.has(id)) memory.messages.delete(id);
  }

  #tellBackoffs(memory: PodMemory, observed: PodRuntimeState, plan: PodPlan): void {
    const { name: podName, namespace, uid } = memory.pod.metadata;
    for (const [name, { reason }] of plan.waiting) {
      if (reason !== "CrashLoopBackOff") continue;
      const newest = observed.containers
        .filter((one) => one.name === name)
        .sort((a, b) => b.attempt - a.attempt)[0];
      if (newest === undefined || memory.toldBackoff.get(name) === newest.id) continue;
      memory.toldBackoff.set(name, newest.id);
      const pod = `${podName}_${namespace}(${uid})`;
      const text = `Back-off restarting failed container ${name} in pod ${pod}`;
      this.#options.events.container(memory.pod, name, "Warning", "BackOff", text);
    }
  }

  async #terminate(memory: PodMemory): Promise<SyncResult> {
    const { termination, statuses, references, tokens, starter } = this.#options;
    const { pod, uid } = memory;
    const graceSeconds =
      pod.metadata.deletionGracePeriodSeconds ??
      pod.spec?.terminationGracePeriodSeconds ??
      DEFAULT_GRACE_PERIOD_SECONDS;
    if (!memory.cleaned) {
      await termination.stopAll(pod, await this.#observe(memory), graceSeconds);
      memory.probes.close();
      const observed = await this.#observe(memory);
      if (!memory.gone && observed.containers.length > 0) {
        const status = this.#status(memory, observed, { actions: [], waiting: new Map() });
        statuses.set(pod, { ...status, phase: endedPhase(status) });
        await statuses.flushed(uid);
      }
      memory.cleaned = true;
      statuses.forget(uid);
      references.release(uid);
      tokens.release(uid);
      await termination.cleanUp(uid, starter.podLogDirectory(pod));
    }
    if (!memory.gone) await termination.deleteObject(pod);
    // The deletion comes back as the end of the object; then the pod is forgotten.
    return { finished: memory.gone };
  }

  async #forget(memory: PodMemory): Promise<SyncResult> {
    const { termination, references, tokens, statuses, starter } = this.#options;
    const { pod, uid } = memory;
    const observed = await this.#observe(memory);
    const grace = pod.metadata.deletionGracePeriodSeconds ?? GONE_GRACE_SECONDS;
    await termination.stopAll(pod, observed, Math.min(grace, GONE_GRACE_SECONDS));
    await termination.cleanUp(uid, starter.podLogDirectory(pod));
    references.release(uid);
    tokens.release(uid);
    statuses.forget(uid);
    return { finished: true };
  }
}

function isReady({ conditions = [] }: PodStatus): boolean {
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}
