import type { Deployment, Pod, ReplicaSet } from "../../api/index.ts";
import {
  DEPLOYMENTS,
  isAlreadyExists,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  objectKey,
  PODS,
  REPLICA_SETS,
  splitKey,
} from "../../client/index.ts";
import type { EventRecorder, Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import { unreachable } from "../../lib/index.ts";
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
import { runController } from "../run-controller.ts";
import { DEPLOYMENT_TYPE, planDeployment, selectsReplicaSet } from "./plan.ts";
import type { DeploymentAction } from "./plan.ts";
import { replicasOf } from "./revision.ts";
import { hasSameTemplate } from "./template-hash.ts";

/** Rolls Deployments out through ReplicaSets. */
export function startDeploymentController(context: ControllerContext): void {
  new DeploymentController(context).start();
}

class DeploymentController {
  readonly #context: ControllerContext;
  readonly #deployments: Informer<Deployment>;
  readonly #replicaSets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;
  readonly #deploymentWrites: OwnWrites<Deployment>;
  readonly #replicaSetWrites: OwnWrites<ReplicaSet>;
  readonly #recorder: EventRecorder;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#deployments = context.informers.for(DEPLOYMENTS);
    this.#replicaSets = context.informers.for(REPLICA_SETS);
    this.#pods = context.informers.for(PODS);
    this.#deploymentWrites = new OwnWrites(this.#deployments);
    this.#replicaSetWrites = new OwnWrites(this.#replicaSets);
    this.#recorder = recorderFor(context, "deployment-controller");
  }

  start(): void {
    this.#replicaSets.addIndex(CONTROLLER_INDEX, controllerUids);
    this.#pods.addIndex(CONTROLLER_INDEX, controllerUids);
    const queue = runController(this.#context, {
      name: "deployment",
      informers: [this.#deployments, this.#replicaSets, this.#pods],
      allKeys: () => this.#deployments.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#deployments.addHandler({
      onAdd: (deployment) => queue.add(keyOf(deployment)),
      onUpdate: (_, deployment) => queue.add(keyOf(deployment)),
    });
    const enqueueOwner = (replicaSet: ReplicaSet): void => this.#enqueueFor(queue, replicaSet);
    this.#replicaSets.addHandler(everyChange(enqueueOwner, hasOtherController));
    // Only Recreate waits for pods to be gone, not just for the counts of its ReplicaSets.
    this.#pods.addHandler({ onDelete: (pod) => this.#enqueueRecreate(queue, pod) });
  }

  #enqueueFor(queue: WorkQueue, replicaSet: ReplicaSet): void {
    const { namespace = "" } = replicaSet.metadata;
    const controller = controllerOf(replicaSet);
    if (controller !== undefined) {
      const ours = controller.kind === DEPLOYMENT_TYPE.kind;
      if (ours) queue.add(objectKey(namespace, controller.name));
      return;
    }
    for (const deployment of this.#deployments.lister.list({ namespace })) {
      if (selectsReplicaSet(deployment, replicaSet)) queue.add(keyOf(deployment));
    }
  }

  #enqueueRecreate(queue: WorkQueue, pod: Pod): void {
    const { namespace = "" } = pod.metadata;
    const replicaSetName = controllerOf(pod)?.name ?? "";
    const replicaSet = this.#replicaSets.lister.get(namespace, replicaSetName);
    const name = replicaSet === undefined ? undefined : controllerOf(replicaSet)?.name;
    const deployment = this.#deployments.lister.get(namespace, name ?? "");
    if (deployment?.spec?.strategy?.type === "Recreate") queue.add(keyOf(deployment));
  }

  async #reconcile(key: string): Promise<ReconcileResult> {
    const { namespace, name } = splitKey(key);
    const deployment = this.#deploymentWrites.get(namespace, name);
    if (deployment === undefined) return {};
    const replicaSets = await this.#claim(deployment);
    const pods = replicaSets.flatMap(({ metadata }) =>
      this.#pods.lister.byIndex(CONTROLLER_INDEX, metadata.uid ?? ""),
    );
    const nowMs = this.#context.clock.now();
    let requeueAfterMs: number | undefined;
    for (const action of planDeployment({ deployment, replicaSets, pods, nowMs })) {
      if (action.type === "look-again") requeueAfterMs = action.afterMs;
      else if ((await this.#do(deployment, action)) === "stop") break;
    }
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  async #claim(deployment: Deployment): Promise<readonly ReplicaSet[]> {
    const { client } = this.#context;
    const { namespace = "", name = "", uid } = deployment.metadata;
    const cached = this.#replicaSets.lister.list({ namespace });
    const candidates = this.#replicaSetWrites
      .list(cached, ({ metadata }) => metadata.namespace === namespace)
      .filter((replicaSet) => !this.#replicaSetWrites.isDeleted(replicaSet))
      .filter((replicaSet) => [uid, undefined].includes(controllerOf(replicaSet)?.uid));
    const plan = planClaims(deployment, deployment.spec?.selector, candidates);
    const reference = controllerReference(deployment, DEPLOYMENT_TYPE);
    const readOwner = () => client.resource(DEPLOYMENTS, namespace).get(name);
    return carryOutClaims({ client, resource: REPLICA_SETS, readOwner, reference }, plan);
  }

  async #do(
    deployment: Deployment,
    action: Exclude<DeploymentAction, { type: "look-again" }>,
  ): Promise<"go-on" | "stop"> {
    const { namespace = "", name = "" } = deployment.metadata;
    const deployments = this.#context.client.resource(DEPLOYMENTS, namespace);
    const replicaSets = this.#context.client.resource(REPLICA_SETS, namespace);
    switch (action.type) {
      case "create-replica-set":
        return this.#create(deployment, action.replicaSet);
      case "scale":
        await this.#scale(deployment, action);
        return "go-on";
      case "update-replica-set":
        this.#replicaSetWrites.wrote(await replicaSets.update(action.replicaSet));
        // What else was planned for it stands on the revision that is now the past.
        return "stop";
      case "delete-replica-set":
        await this.#delete(action.replicaSet);
        return "go-on";
      case "annotate": {
        const patch = { metadata: { annotations: action.annotations } };
        this.#deploymentWrites.wrote(await deployments.patch(name, patch, { type: "merge" }));
        return "go-on";
      }
      case "status":
        await this.#writeStatus(deployment, action.status);
        return "go-on";
      default:
        return unreachable(action);
    }
  }

  async #create(deployment: Deployment, wanted: ReplicaSet): Promise<"go-on" | "stop"> {
    const { namespace } = deployment.metadata;
    const replicaSets = this.#context.client.resource(REPLICA_SETS, namespace);
    try {
      this.#replicaSetWrites.wrote(await replicaSets.create(wanted));
    } catch (error) {
      if (isNamespaceTerminating(error)) return "stop";
      if (!isAlreadyExists(error)) throw error;
      return this.#resolveCollision(deployment, wanted);
    }
    this.#tell(deployment, wanted, { from: 0, to: replicasOf(wanted) });
    return "go-on";
  }

  /** Ours from before, not in the cache yet: its event is coming. Somebody else's: another name. */
  async #resolveCollision(deployment: Deployment, wanted: ReplicaSet): Promise<"stop"> {
    const { namespace, name = "", uid } = deployment.metadata;
    const { client } = this.#context;
    const found = await client.resource(REPLICA_SETS, namespace).get(wanted.metadata.name ?? "");
    if (controllerOf(found)?.uid === uid && hasSameTemplate(deployment, found)) {
      this.#replicaSetWrites.wrote(found);
      return "stop";
    }
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    const patch = { status: { collisionCount } };
    const options = { type: "merge", subresource: "status" } as const;
    const updated = await client.resource(DEPLOYMENTS, namespace).patch(name, patch, options);
    this.#deploymentWrites.wrote(updated);
    return "stop";
  }

  async #scale(
    deployment: Deployment,
    action: Extract<DeploymentAction, { type: "scale" }>,
  ): Promise<void> {
    const { replicaSet, replicas, annotations } = action;
    if (replicaSet.spec === undefined) return;
    const { namespace } = replicaSet.metadata;
    const updated = await this.#context.client.resource(REPLICA_SETS, namespace).update({
      ...replicaSet,
      metadata: { ...replicaSet.metadata, annotations },
      spec: { ...replicaSet.spec, replicas },
    });
    this.#replicaSetWrites.wrote(updated);
    const from = replicasOf(replicaSet);
    if (from !== replicas) this.#tell(deployment, replicaSet, { from, to: replicas });
  }

  #tell(deployment: Deployment, replicaSet: ReplicaSet, size: { from: number; to: number }): void {
    if (size.from === size.to) return;
    const direction = size.to > size.from ? "up" : "down";
    const { name } = replicaSet.metadata;
    const message = `Scaled ${direction} replica set ${name} from ${size.from} to ${size.to}`;
    const about = { ...deployment, ...DEPLOYMENT_TYPE };
    this.#recorder.event(about, "Normal", "ScalingReplicaSet", message);
  }

  async #delete(replicaSet: ReplicaSet): Promise<void> {
    const { namespace } = replicaSet.metadata;
    await deleteExactly(this.#context.client.resource(REPLICA_SETS, namespace), replicaSet);
    this.#replicaSetWrites.deleted(replicaSet);
  }

  async #writeStatus(deployment: Deployment, status: Deployment["status"]): Promise<void> {
    if (status === undefined) return;
    const { namespace = "", name = "" } = deployment.metadata;
    // A write of this look may have moved the revision, and metadata travels with the status.
    const latest = this.#deploymentWrites.get(namespace, name) ?? deployment;
    try {
      const deployments = this.#context.client.resource(DEPLOYMENTS, namespace);
      const updated = await deployments.updateStatus({ ...latest, status });
      this.#deploymentWrites.wrote(updated);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
