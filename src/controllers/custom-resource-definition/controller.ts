import type { apiextensionsV1 } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import {
  type ApiResource,
  CUSTOM_RESOURCE_DEFINITIONS,
  isConflict,
  isNotFound,
} from "../../client/index.ts";
import type { Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";
import { planNames, withTerminating } from "./plan.ts";

type Crd = apiextensionsV1.CustomResourceDefinition;

const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";
const LOOK_AGAIN_MS = 1000;
const FIRST_LOOK_MS = 50;
/** Objects counted a round: how many are left matters less than whether any are. */
const COUNT_LIMIT = 500;

/** Gives definitions their names, and takes their objects away before they go themselves. */
export function startCustomResourceController(context: ControllerContext): void {
  new CustomResourceDefinitionController(context).start();
}

class CustomResourceDefinitionController {
  readonly #context: ControllerContext;
  readonly #crds: Informer<Crd>;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#crds = context.informers.for(CUSTOM_RESOURCE_DEFINITIONS);
  }

  start(): void {
    const queue = runController(this.#context, {
      name: "customresourcedefinition",
      // One after another: two that want the same name must not both find it free.
      concurrency: 1,
      informers: [this.#crds],
      allKeys: () => this.#crds.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#crds.addHandler({
      onAdd: ({ metadata }) => queue.add(metadata.name ?? ""),
      onUpdate: (_, { metadata }) => queue.add(metadata.name ?? ""),
      onDelete: (crd) => this.#enqueueGroup(queue, crd.spec.group),
    });
  }

  /** Names that one definition had are free for the others. */
  #enqueueGroup(queue: WorkQueue, group: string): void {
    for (const { metadata, spec } of this.#crds.lister.list()) {
      if (spec.group === group) queue.add(metadata.name ?? "");
    }
  }

  async #reconcile(name: string): Promise<ReconcileResult> {
    // The cache may not show yet what was accepted a moment ago.
    const crd = await this.#read(name);
    if (crd === undefined) return {};
    try {
      if (crd.metadata.deletionTimestamp !== undefined) return await this.#removeInstances(crd);
      const others = this.#crds.lister
        .list()
        .filter(({ metadata, spec }) => spec.group === crd.spec.group && metadata.name !== name);
      const fresh = await Promise.all(
        others.map(({ metadata }) => this.#read(metadata.name ?? "")),
      );
      const present = fresh.filter((one) => one !== undefined);
      const status = planNames(crd, present, this.#context.clock.now());
      if (status !== undefined) await this.#writeStatus(crd, status);
    } catch (error) {
      if (isNotFound(error)) return {};
      if (isConflict(error)) return { requeueAfterMs: FIRST_LOOK_MS };
      throw error;
    }
    return {};
  }

  async #read(name: string): Promise<Crd | undefined> {
    try {
      return await this.#context.client.resource(CUSTOM_RESOURCE_DEFINITIONS).get(name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #writeStatus(crd: Crd, status: Crd["status"]): Promise<void> {
    const { name = "", uid = "", resourceVersion = "" } = crd.metadata;
    const patch = { metadata: { uid, resourceVersion }, status };
    const crds = this.#context.client.resource(CUSTOM_RESOURCE_DEFINITIONS);
    await crds.patch(name, patch, { type: "merge", subresource: "status" });
  }

  async #removeInstances(crd: Crd): Promise<ReconcileResult> {
    const finalizers = crd.metadata.finalizers ?? [];
    if (!finalizers.includes(CLEANUP_FINALIZER)) return {};
    const nowMs = this.#context.clock.now();
    const left = isServed(crd) ? await this.#deleteInstances(crd) : 0;
    if (left > 0) {
      const message = "CustomResource deletion is in progress";
      const conditions = withTerminating(crd, "InstanceDeletionInProgress", message, nowMs);
      await this.#writeStatus(crd, { ...crd.status, conditions });
      return { requeueAfterMs: left > 0 ? LOOK_AGAIN_MS : FIRST_LOOK_MS };
    }
    const { name = "", uid = "", resourceVersion = "" } = crd.metadata;
    const others = finalizers.filter((finalizer) => finalizer !== CLEANUP_FINALIZER);
    const patch = { metadata: { uid, resourceVersion, finalizers: others } };
    const crds = this.#context.client.resource(CUSTOM_RESOURCE_DEFINITIONS);
    await crds.patch(name, patch, { type: "merge" });
    return {};
  }

  /** Asks for the deletion of every object; gives how many are still there. */
  async #deleteInstances(crd: Crd): Promise<number> {
    const { client } = this.#context;
    const resource = resourceOf(crd);
    const metadataOnly = { view: "metadata" } as const;
    const everywhere = client.resource(resource, "", metadataOnly);
    const found = await everywhere.list();
    const pending = found.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const namespaces = new Set(pending.map(({ metadata }) => metadata.namespace ?? ""));
    for (const namespace of namespaces) {
      const collection = client.resource(resource, namespace, metadataOnly);
      await collection.deleteCollection({ propagationPolicy: "Background" });
    }
    if (found.items.length === 0) return 0;
    return (await everywhere.list({ limit: COUNT_LIMIT })).items.length;
  }
}

function isServed({ status, spec }: Crd): boolean {
  const established = status?.conditions?.find(({ type }) => type === "Established");
  return established?.status === "True" && spec.versions.some(({ served }) => served);
}

function resourceOf({ spec }: Crd): ApiResource<KubeObject> {
  const versions = spec.versions.filter(({ served }) => served);
  const version = versions.find(({ storage }) => storage) ?? versions[0];
  return {
    group: spec.group,
    version: version?.name ?? "",
    resource: spec.names.plural,
    kind: spec.names.kind,
    namespaced: spec.scope === "Namespaced",
  };
}
