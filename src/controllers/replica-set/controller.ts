import { deepEqual } from "../deep-equal.ts";
import { carryOutClaims } from "../claim-writer.ts";
import { planClaims } from "../claim.ts";
import { recorderFor } from "../controller-context.ts";
import type { ControllerContext } from "../controller-context.ts";
import { deleteExactly } from "../delete-exactly.ts";
import { everyChange } from "../every-change.ts";
import { OwnWrites } from "../own-writes.ts";
import {
  CONTROLLER_INDEX,
  controllerOf,
  controllerReference,
  controllerUids,
  hasOtherController,
} from "../owner-reference.ts";
import { isPodActive, isPodTerminating } from "../pod-state.ts";
import { restAfter } from "../rest-after.ts";
import { runController } from "../run-controller.ts";
import { nextAvailabilityMs, planReplicaSet, replicaSetStatus } from "./plan.ts";
import type { ReplicaFailure } from "./plan.ts";
import { podFromTemplate } from "./pod-from-template.ts";
import { slowStart } from "./slow-start.ts";
import {
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  objectKey,
  PODS,
  REPLICA_SETS,
  splitKey,
} from "../../client/index.ts";
import type { EventRecorder, Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import { labelSelectorFrom, matchesLabels } from "../../apimachinery/index.ts";
import type { Pod, ReplicaSet } from "../../api/index.ts";

const TYPE = { apiVersion: "apps/v1", kind: "ReplicaSet" } as const;

/** Keeps as many pods alive as each ReplicaSet asks for. */
export function startReplicaSetController(context: ControllerContext): void {
  new ReplicaSetController(context).start();
}

class ReplicaSetController {
  readonly #context: ControllerContext;
  readonly #replicaSets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;
  readonly #podWrites: OwnWrites<Pod>;
  readonly #statusWrites: OwnWrites<ReplicaSet>;
  readonly #recorder: EventRecorder;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#replicaSets = context.informers.for(REPLICA_SETS);
    this.#pods = context.informers.for(PODS);
    this.#podWrites = new OwnWrites(this.#pods);
    this.#statusWrites = new OwnWrites(this.#replicaSets);
    this.#recorder = recorderFor(context, "replicaset-controller");
  }

  start(): void {
    this.#pods.addIndex(CONTROLLER_INDEX, controllerUids);
    this.#replicaSets.addIndex(CONTROLLER_INDEX, controllerUids);
    const queue = runController(this.#context, {
      name: "replicaset",
      informers: [this.#replicaSets, this.#pods],
      allKeys: () => this.#replicaSets.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#replicaSets.addHandler(everyChange((replicaSet) => queue.add(keyOf(replicaSet))));
    const enqueueOwner = (pod: Pod): void => this.#enqueueFor(queue, pod);
    this.#pods.addHandler(everyChange(enqueueOwner, hasOtherController));
  }

  /** The ReplicaSet that controls the pod, or those that may want it when nobody does. */
  #enqueueFor(queue: WorkQueue, pod: Pod): void {
    const { namespace = "" } = pod.metadata;
    const controller = controllerOf(pod);
    if (controller !== undefined) {
      if (controller.kind === TYPE.kind) queue.add(objectKey(namespace, controller.name));
      return;
    }
    for (const replicaSet of this.#replicaSets.lister.list({ namespace })) {
      const selector = labelSelectorFrom(replicaSet.spec?.selector);
      if (matchesLabels(selector, pod.metadata.labels)) queue.add(keyOf(replicaSet));
    }
  }

  async #reconcile(key: string): Promise<ReconcileResult> {
    const { namespace, name } = splitKey(key);
    const replicaSet = this.#statusWrites.get(namespace, name);
    if (replicaSet === undefined) return {};
    const pods = await this.#claim(replicaSet);
    const failure = await this.#manage(replicaSet, pods);
    const nowMs = this.#context.clock.now();
    // What this look changed shows as events; the status tells what is known to be there.
    const mine = this.#pods.lister.byIndex(CONTROLLER_INDEX, replicaSet.metadata.uid ?? "");
    const terminating = mine.filter(isPodTerminating).length;
    const input = { replicaSet, pods, terminating, failure: failure?.told, nowMs };
    await this.#writeStatus(replicaSet, replicaSetStatus(input));
    if (failure !== undefined) throw failure.error;
    const requeueAfterMs = nextAvailabilityMs(input);
    const restMs = restAfter(pods.length);
    return requeueAfterMs === undefined ? { restMs } : { restMs, requeueAfterMs };
  }

  async #claim(replicaSet: ReplicaSet): Promise<readonly Pod[]> {
    const { client } = this.#context;
    const { namespace = "", name = "", uid = "" } = replicaSet.metadata;
    const cached = [
      ...this.#pods.lister.byIndex(CONTROLLER_INDEX, uid),
      ...this.#pods.lister.byIndex(CONTROLLER_INDEX, ""),
    ].filter((pod) => pod.metadata.namespace === namespace);
    const candidates = this.#podWrites
      .list(cached, (pod) => controllerOf(pod)?.uid === uid)
      .filter((pod) => !this.#podWrites.isDeleted(pod));
    const plan = planClaims(replicaSet, replicaSet.spec?.selector, candidates);
    const reference = controllerReference(replicaSet, TYPE);
    const readOwner = () => client.resource(REPLICA_SETS, namespace).get(name);
    return carryOutClaims({ client, resource: PODS, readOwner, reference }, plan);
  }

  async #manage(
    replicaSet: ReplicaSet,
    pods: readonly Pod[],
  ): Promise<{ told: ReplicaFailure; error: unknown } | undefined> {
    const siblingsOnNode = this.#siblingsOnNode(replicaSet);
    for (const action of planReplicaSet({ replicaSet, pods, siblingsOnNode })) {
      const failure =
        action.type === "create"
          ? await this.#create(replicaSet, action.count)
          : await this.#delete(replicaSet, action.pods);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  async #create(replicaSet: ReplicaSet, count: number) {
    const { namespace } = replicaSet.metadata;
    const pods = this.#context.client.resource(PODS, namespace);
    const error = await slowStart(count, async () => {
      const pod = await pods.create(podFromTemplate(replicaSet, TYPE));
      this.#podWrites.wrote(pod);
      const message = `Created pod: ${pod.metadata.name}`;
      this.#recorder.event(typed(replicaSet), "Normal", "SuccessfulCreate", message);
    });
    if (error === undefined || isNamespaceTerminating(error)) return undefined;
    const message = messageOf(error);
    const text = `Error creating: ${message}`;
    this.#recorder.event(typed(replicaSet), "Warning", "FailedCreate", text);
    return { told: { reason: "FailedCreate", message } as const, error };
  }

  async #delete(replicaSet: ReplicaSet, doomed: readonly Pod[]) {
    const { namespace } = replicaSet.metadata;
    const pods = this.#context.client.resource(PODS, namespace);
    const attempts = doomed.map(async (pod) => {
      if (await deleteExactly(pods, pod)) {
        const message = `Deleted pod: ${pod.metadata.name}`;
        this.#recorder.event(typed(replicaSet), "Normal", "SuccessfulDelete", message);
      }
      this.#podWrites.deleted(pod);
    });
    const failed = (await Promise.allSettled(attempts)).find(({ status }) => status === "rejected");
    if (failed?.status !== "rejected") return undefined;
    const error: unknown = failed.reason;
    const message = messageOf(error);
    const text = `Error deleting: ${message}`;
    this.#recorder.event(typed(replicaSet), "Warning", "FailedDelete", text);
    return { told: { reason: "FailedDelete", message } as const, error };
  }

  #siblingsOnNode(replicaSet: ReplicaSet): ReadonlyMap<string, number> {
    const owner = controllerOf(replicaSet)?.uid;
    const family =
      owner === undefined
        ? [replicaSet]
        : this.#replicaSets.lister.byIndex(CONTROLLER_INDEX, owner);
    const counts = new Map<string, number>();
    for (const { metadata } of family) {
      for (const pod of this.#pods.lister.byIndex(CONTROLLER_INDEX, metadata.uid ?? "")) {
        const node = pod.spec?.nodeName ?? "";
        if (node !== "" && isPodActive(pod)) counts.set(node, (counts.get(node) ?? 0) + 1);
      }
    }
    return counts;
  }

  async #writeStatus(replicaSet: ReplicaSet, status: ReplicaSet["status"]): Promise<void> {
    if (status === undefined || deepEqual(replicaSet.status, status)) return;
    const { namespace } = replicaSet.metadata;
    const resource = this.#context.client.resource(REPLICA_SETS, namespace);
    try {
      this.#statusWrites.wrote(await resource.updateStatus({ ...replicaSet, status }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "unknown error";
}

/** Events say what they are about; objects of lists may not. */
function typed(replicaSet: ReplicaSet): ReplicaSet {
  return { ...replicaSet, ...TYPE };
}
