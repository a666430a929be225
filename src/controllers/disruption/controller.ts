import type { Deployment, Pod, PodDisruptionBudget, ReplicaSet } from "../../api/index.ts";
import type { StatefulSet } from "../../api/index.ts";
import { labelSelectorFrom, matchesLabels } from "../../apimachinery/index.ts";
import {
  DEPLOYMENTS,
  isConflict,
  isNotFound,
  keyOf,
  POD_DISRUPTION_BUDGETS,
  PODS,
  REPLICA_SETS,
  splitKey,
  STATEFUL_SETS,
} from "../../client/index.ts";
import type { Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { controllerOf } from "../owner-reference.ts";
import { isPodReady } from "../pod-state.ts";
import { runController } from "../run-controller.ts";
import { nextDisruptionEndMs, planDisruption } from "./plan.ts";

/** Keeps the status of PodDisruptionBudgets, which evictions ask and draw from. */
export function startDisruptionController(context: ControllerContext): void {
  new DisruptionController(context).start();
}

class DisruptionController {
  readonly #context: ControllerContext;
  readonly #budgets: Informer<PodDisruptionBudget>;
  readonly #pods: Informer<Pod>;
  readonly #replicaSets: Informer<ReplicaSet>;
  readonly #deployments: Informer<Deployment>;
  readonly #statefulSets: Informer<StatefulSet>;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { informers } = context;
    this.#budgets = informers.for(POD_DISRUPTION_BUDGETS);
    this.#pods = informers.for(PODS);
    this.#replicaSets = informers.for(REPLICA_SETS);
    this.#deployments = informers.for(DEPLOYMENTS);
    this.#statefulSets = informers.for(STATEFUL_SETS);
  }

  start(): void {
    const owners = [this.#replicaSets, this.#deployments, this.#statefulSets] as const;
    const queue = runController(this.#context, {
      name: "disruption",
      informers: [this.#budgets, this.#pods, ...owners],
      allKeys: () => this.#budgets.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#budgets.addHandler({
      onAdd: (budget) => queue.add(keyOf(budget)),
      onUpdate: (_, budget) => queue.add(keyOf(budget)),
    });
    this.#pods.addHandler({
      onAdd: (pod) => this.#podChanged(queue, pod),
      onUpdate: (old, pod) => {
        if (countsAlike(old, pod)) return;
        this.#podChanged(queue, old);
        this.#podChanged(queue, pod);
      },
      onDelete: (pod) => this.#podChanged(queue, pod),
    });
    for (const owner of owners) {
      owner.addHandler({
        onUpdate: (old, next) => {
          if (old.spec?.replicas === next.spec?.replicas) return;
          const { namespace = "" } = next.metadata;
          for (const budget of this.#budgets.lister.list({ namespace })) {
            queue.add(keyOf(budget));
          }
        },
      });
    }
  }

  #podChanged(queue: WorkQueue, pod: Pod): void {
    const { namespace = "" } = pod.metadata;
    for (const budget of this.#budgets.lister.list({ namespace })) {
      if (selects(budget, pod)) queue.add(keyOf(budget));
    }
  }

  async #reconcile(key: string): Promise<ReconcileResult | void> {
    const { namespace, name } = splitKey(key);
    const budget = this.#budgets.lister.get(namespace, name);
    if (budget === undefined) return undefined;
    const { client, clock } = this.#context;
    const pods = this.#pods.lister.list({ namespace, where: (pod) => selects(budget, pod) });
    const nowMs = clock.now();
    const status = planDisruption({ budget, pods, wanted: this.#wanted(pods), nowMs });
    if (status !== undefined) {
      const budgets = client.resource(POD_DISRUPTION_BUDGETS, namespace);
      try {
        await budgets.updateStatus({ ...budget, status });
      } catch (error) {
        // An eviction came between: its state comes by the watch.
        if (!isConflict(error) && !isNotFound(error)) throw error;
      }
    }
    const requeueAfterMs = nextDisruptionEndMs(status ?? budget.status ?? {}, nowMs);
    return requeueAfterMs === undefined ? undefined : { requeueAfterMs };
  }

  /** Replicas that the controllers of these pods want together. */
  #wanted(pods: readonly Pod[]): { readonly replicas: number } | { readonly unknown: string } {
    const replicasByUid = new Map<string, number>();
    for (const pod of pods) {
      const owner = controllerOf(pod);
      if (owner === undefined) {
        return { unknown: `found no controllers for pod "${pod.metadata.name}"` };
      }
      const scale = this.#scaleOf(pod);
      if (scale === undefined) {
        return {
          unknown: `${owner.kind} ${owner.name} of pod "${pod.metadata.name}" has no scale`,
        };
      }
      replicasByUid.set(scale.uid, scale.replicas);
    }
    return { replicas: [...replicasByUid.values()].reduce((sum, count) => sum + count, 0) };
  }

  #scaleOf(pod: Pod): { readonly uid: string; readonly replicas: number } | undefined {
    const { namespace = "" } = pod.metadata;
    const owner = controllerOf(pod);
    const { kind, name = "", uid } = owner ?? {};
    if (kind === "StatefulSet") {
      const set = this.#statefulSets.lister.get(namespace, name);
      return set?.metadata.uid === uid ? scaleOf(set) : undefined;
    }
    if (kind !== "ReplicaSet") return undefined;
    const replicaSet = this.#replicaSets.lister.get(namespace, name);
    if (replicaSet === undefined || replicaSet.metadata.uid !== uid) return undefined;
    const above = controllerOf(replicaSet);
    if (above?.kind !== "Deployment") return scaleOf(replicaSet);
    // A rollout has two ReplicaSets; what counts is what the Deployment wants.
    const deployment = this.#deployments.lister.get(namespace, above.name);
    return deployment?.metadata.uid === above.uid ? scaleOf(deployment) : scaleOf(replicaSet);
  }
}

function scaleOf(
  object: Deployment | ReplicaSet | StatefulSet | undefined,
): { readonly uid: string; readonly replicas: number } | undefined {
  if (object === undefined) return undefined;
  return { uid: object.metadata.uid ?? "", replicas: object.spec?.replicas ?? 1 };
}

/** A budget without a selector is about nothing, one with an empty selector about all. */
function selects({ spec }: PodDisruptionBudget, { metadata }: Pod): boolean {
  if (spec?.selector === undefined) return false;
  return matchesLabels(labelSelectorFrom(spec.selector), metadata.labels);
}

function countsAlike(old: Pod, next: Pod): boolean {
  return (
    isPodReady(old) === isPodReady(next) &&
    old.metadata.deletionTimestamp === next.metadata.deletionTimestamp &&
    JSON.stringify(old.metadata.labels) === JSON.stringify(next.metadata.labels)
  );
}
