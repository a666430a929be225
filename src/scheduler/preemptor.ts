import type { Pod, PodDisruptionBudget } from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import { isConflict, isNotFound, POD_DISRUPTION_BUDGETS, PODS } from "../client/index.ts";
import type { Client, EventRecorder } from "../client/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import type { Unschedulable } from "./cycle.ts";
import type { PodInfo } from "./plugin.ts";
import { planPreemption } from "./preemption.ts";
import type { Preemption } from "./preemption.ts";

export interface PreemptorOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly recorder: EventRecorder;
  readonly schedulerName: string;
  readonly cache: ClusterCache;
}

/** Makes room for important pods by evicting less important ones. */
export class Preemptor {
  readonly #options: PreemptorOptions;

  constructor(options: PreemptorOptions) {
    this.#options = options;
  }

  /** Undefined when there are no nodes at all, so that nothing can be said about them. */
  async plan(pod: PodInfo, refusal: Unschedulable): Promise<Preemption | undefined> {
    if (refusal.nodeCount === 0) return undefined;
    const { cache } = this.#options;
    const without = planPreemption(pod, refusal, cache.view(), []);
    // Budgets matter, and are asked for, only where somebody would have to go.
    if (without.type === "none") {
      if (pod.pod.spec?.preemptionPolicy === "Never") cache.withdraw(pod.pod.metadata.uid ?? "");
      return without;
    }
    const budgets = await this.#budgets();
    const plan = planPreemption(pod, refusal, cache.view(), budgets);
    if (plan.type === "evict") cache.nominate(pod, plan.nodeName);
    return plan;
  }

  /** Deletes the victims, gracefully; their end wakes the pod. */
  async evict(pod: PodInfo, plan: Extract<Preemption, { type: "evict" }>): Promise<void> {
    await Promise.all(plan.victims.map((victim) => this.#evictOne(pod.pod, plan.nodeName, victim)));
  }

  async #budgets(): Promise<readonly PodDisruptionBudget[]> {
    try {
      const { items } = await this.#options.client.resource(POD_DISRUPTION_BUDGETS).list();
      return items;
    } catch (error) {
      // They are a wish that a more important pod may overrule.
      this.#options.logger.debug("disruption budgets not read", { error: String(error) });
      return [];
    }
  }

  async #evictOne(pod: Pod, nodeName: string, victim: Pod): Promise<void> {
    const { client, clock, logger, recorder, schedulerName } = this.#options;
    const { namespace, name = "", uid = "" } = victim.metadata;
    if (victim.metadata.deletionTimestamp !== undefined) return;
    const pods = client.resource(PODS, namespace);
    const condition = {
      type: "DisruptionTarget",
      status: "True",
      reason: "PreemptionByScheduler",
      message: `${schedulerName}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: rfc3339(clock.now()),
    };
    try {
      const patch = { metadata: { uid }, status: { conditions: [condition] } };
      await pods.patch(name, patch, { type: "strategic", subresource: "status" });
      await pods.delete(name, { preconditions: { uid } });
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) return;
      logger.warn("pod not preempted", { pod: name, error: String(error) });
      return;
    }
    const message = `Preempted by pod ${pod.metadata.uid} on node ${nodeName}`;
    recorder.event({ ...victim, apiVersion: "v1", kind: "Pod" }, "Normal", "Preempted", message);
  }
}
