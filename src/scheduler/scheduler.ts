import type { Namespace, Node, Pod } from "../api/index.ts";
import {
  createEventRecorder,
  createInformer,
  isConflict,
  isNotFound,
  NAMESPACES,
  NODES,
  PODS,
} from "../client/index.ts";
import type { Client, EventRecorder, Informer } from "../client/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { ClusterCache, podInfoOf } from "./cluster-cache.ts";
import { schedule } from "./cycle.ts";
import type { Decision, Unschedulable } from "./cycle.ts";
import type { PodInfo } from "./plugin.ts";
import { Preemptor } from "./preemptor.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";

export const DEFAULT_SCHEDULER_NAME = "default-scheduler";

export interface SchedulerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The `spec.schedulerName` it is responsible for. */
  readonly schedulerName?: string;
  readonly signal: AbortSignal;
}

/** Bindings under way at once; decisions go on meanwhile, on the assumption that they succeed. */
export const MAX_BINDINGS_IN_FLIGHT = 64;

/** Gives each pod without a node one. Runs until the signal aborts. */
export function startScheduler(options: SchedulerOptions): void {
  new Scheduler(options).start();
}

class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #schedulerName: string;
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  readonly #namespaces: Informer<Namespace>;
  readonly #cache = new ClusterCache();
  readonly #queue: SchedulingQueue;
  readonly #recorder: EventRecorder;
  readonly #preemptor: Preemptor;
  #inFlight = 0;
  #awake = false;
  #ready = false;
  /** The queue had to turn pods away. */
  #overflowed = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#schedulerName = options.schedulerName ?? DEFAULT_SCHEDULER_NAME;
    this.#nodes = createInformer(options.client, NODES, options);
    this.#pods = createInformer(options.client, PODS, options);
    this.#namespaces = createInformer(options.client, NAMESPACES, options);
    this.#queue = new SchedulingQueue(options.clock, () => this.#wakeUp());
    this.#recorder = createEventRecorder({ ...options, component: this.#schedulerName });
    const recorder = this.#recorder;
    const schedulerName = this.#schedulerName;
    this.#preemptor = new Preemptor({ ...options, schedulerName, recorder, cache: this.#cache });
  }

  start(): void {
    const { signal, logger } = this.#options;
    this.#nodes.addHandler({
      onAdd: (node) => this.#nodeChanged(undefined, node),
      onUpdate: (old, node) => this.#nodeChanged(old, node),
      onDelete: (node) => this.#cache.deleteNode(node.metadata.name ?? ""),
    });
    this.#pods.addHandler({
      onAdd: (pod) => this.#podChanged(undefined, pod),
      onUpdate: (old, pod) => this.#podChanged(old, pod),
      onDelete: (pod) => this.#podGone(pod),
    });
    this.#namespaces.addHandler({
      onAdd: (namespace) => this.#namespaceChanged(namespace),
      onUpdate: (_, namespace) => this.#namespaceChanged(namespace),
      onDelete: ({ metadata }) => this.#cache.deleteNamespace(metadata.name ?? ""),
    });
    this.#nodes.start(signal);
    this.#pods.start(signal);
    this.#namespaces.start(signal);
    signal.addEventListener("abort", () => this.#queue.close(), { once: true });
    // No decision before everything is known: half the pods would look like free nodes.
    Promise.all([this.#nodes.synced(), this.#pods.synced(), this.#namespaces.synced()])
      .then(() => {
        this.#ready = true;
        this.#wakeUp();
      })
      .catch((error: unknown) => logger.error("scheduler not started", { error: String(error) }));
  }

  #nodeChanged(old: Node | undefined, node: Node): void {
    this.#cache.setNode(node);
    if (old === undefined || matters(old) !== matters(node)) this.#queue.wake("node-changed");
  }

  #namespaceChanged({ metadata }: Namespace): void {
    this.#cache.setNamespace(metadata.name ?? "", metadata.labels ?? {});
  }

  #podChanged(old: Pod | undefined, pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const { nodeName } = pod.spec ?? {};
    if (isFinished(pod)) {
      this.#podGone(pod);
    } else if (nodeName !== undefined && nodeName !== "") {
      this.#queue.delete(uid);
      this.#cache.setPod(pod, nodeName);
      // A pod near which others want to be, or whose labels changed.
      this.#queue.wake("pod-placed");
    } else if (this.#cache.nodeOf(uid) !== undefined) {
      // From before a binding that is on its way, or whose own event is.
      this.#queue.refresh(pod);
    } else if (!this.#isOurs(pod)) {
      this.#queue.delete(uid);
      this.#cache.withdraw(uid);
    } else if (old === undefined || demands(old) !== demands(pod)) {
      const { nominatedNodeName } = pod.status ?? {};
      // Of another leader's decision; victims may have gone for it already.
      if (nominatedNodeName) this.#cache.nominate(podInfoOf(pod), nominatedNodeName);
      this.#overflowed = !this.#queue.add(pod) || this.#overflowed;
    } else {
      this.#queue.refresh(pod);
    }
  }

  #podGone(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    this.#queue.delete(uid);
    const kept = this.#cache.withdraw(uid);
    if (this.#cache.deletePod(uid) || kept) this.#queue.wake("pod-freed");
  }

  #isOurs(pod: Pod): boolean {
    const { schedulerName, schedulingGates = [] } = pod.spec ?? {};
    return (
      (schedulerName || DEFAULT_SCHEDULER_NAME) === this.#schedulerName &&
      schedulingGates.length === 0 &&
      pod.metadata.deletionTimestamp === undefined
    );
  }

  /** Decides on what waits, after the events at hand have all been taken in. */
  #wakeUp(): void {
    if (this.#awake || !this.#ready || this.#options.signal.aborted) return;
    this.#awake = true;
    queueMicrotask(() => {
      this.#awake = false;
      this.#decide();
    });
  }

  #decide(): void {
    while (this.#inFlight < MAX_BINDINGS_IN_FLIGHT && !this.#options.signal.aborted) {
      const pod = this.#queue.pop();
      if (pod === undefined) {
        this.#refill();
        return;
      }
      const info = podInfoOf(pod);
      const decision = schedule(info, this.#cache.view(), this.#options.random);
      this.#inFlight++;
      void this.#carryOut(info, decision).finally(() => {
        this.#inFlight--;
        this.#wakeUp();
      });
    }
  }

  /** Pods that once found the queue full are still in the cache of the informer. */
  #refill(): void {
    if (!this.#overflowed || this.#queue.size > 0 || this.#inFlight > 0) return;
    this.#overflowed = false;
    const waiting = this.#pods.lister.list({
      where: (pod) => !pod.spec?.nodeName && !isFinished(pod) && this.#isOurs(pod),
    });
    for (const pod of waiting) {
      if (this.#cache.nodeOf(pod.metadata.uid ?? "") !== undefined) continue;
      this.#overflowed = !this.#queue.add(pod) || this.#overflowed;
    }
  }

  async #carryOut(info: PodInfo, decision: Decision): Promise<void> {
    const { logger } = this.#options;
    const { pod } = info;
    const uid = pod.metadata.uid ?? "";
    try {
      if (decision.type === "bind") await this.#bind(info, decision.nodeName);
      else await this.#refuse(info, decision);
    } catch (error) {
      if (isNotFound(error)) {
        this.#podGone(pod);
        return;
      }
      const { name } = pod.metadata;
      logger.warn("scheduling attempt failed", { pod: name, error: String(error) });
      this.#queue.failed(uid);
    }
  }

  async #bind(info: PodInfo, nodeName: string): Promise<void> {
    const { pod } = info;
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    this.#cache.setPod(pod, nodeName, info);
    try {
      await this.#options.client.resource(PODS, namespace).createSubresource(name, "binding", {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name, namespace, uid },
        target: { apiVersion: "v1", kind: "Node", name: nodeName },
      });
    } catch (error) {
      if (this.#isBound(pod)) return;
      this.#cache.deletePod(uid);
      this.#queue.wake("pod-freed");
      throw error;
    }
    this.#queue.delete(uid);
    const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
    this.#recorder.event(typed(pod), "Normal", "Scheduled", message);
  }

  /** The answer was lost, or another was faster: what the cache has heard of it counts. */
  #isBound(pod: Pod): boolean {
    const { namespace = "", name = "", uid } = pod.metadata;
    const now = this.#pods.lister.get(namespace, name);
    return now?.metadata.uid === uid && Boolean(now?.spec?.nodeName);
  }

  async #refuse(info: PodInfo, refusal: Unschedulable): Promise<void> {
    const { pod } = info;
    this.#queue.refused(pod.metadata.uid ?? "", refusal.wakesOn);
    const preemption = await this.#preemptor.plan(info, refusal);
    const why = preemption?.type === "none" ? ` ${preemption.message}` : "";
    const message = refusal.message + why;
    this.#recorder.event(typed(pod), "Warning", "FailedScheduling", message);
    const nodeName = preemption?.type === "evict" ? preemption.nodeName : undefined;
    await this.#tellStatus(pod, message, nodeName);
    if (preemption?.type === "evict") await this.#preemptor.evict(info, preemption);
  }

  async #tellStatus(pod: Pod, message: string, nodeName: string | undefined): Promise<void> {
    const { client, clock, logger } = this.#options;
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    const known = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
    const same = known?.status === "False" && known.reason === "Unschedulable";
    const nominated = pod.status?.nominatedNodeName;
    const isNominated = nodeName === undefined || nodeName === nominated;
    if (same && known.message === message && isNominated) return;
    const now = rfc3339(clock.now());
    const lastTransitionTime = known?.status === "False" ? (known.lastTransitionTime ?? now) : now;
    const condition = {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message,
      lastTransitionTime,
    };
    const nomination = nodeName === undefined ? {} : { nominatedNodeName: nodeName };
    const patch = { metadata: { uid }, status: { conditions: [condition], ...nomination } };
    const options = { type: "strategic", subresource: "status" } as const;
    try {
      await client.resource(PODS, namespace).patch(name, patch, options);
    } catch (error) {
      // The condition only tells; the pod waits for its change in the queue either way.
      if (isNotFound(error) || isConflict(error)) return;
      logger.debug("pod condition not written", { pod: name, error: String(error) });
    }
  }
}

/** What of a node decides whether pods fit. */
function matters({ metadata, spec, status }: Node): string {
  const { taints, unschedulable } = spec ?? {};
  return JSON.stringify([metadata.labels, taints, unschedulable, status?.allocatable]);
}

/** What of a pod decides where it fits. */
function demands({ metadata, spec }: Pod): string {
  return JSON.stringify([metadata.labels, spec]);
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function typed(pod: Pod): Pod {
  return { ...pod, apiVersion: "v1", kind: "Pod" };
}
