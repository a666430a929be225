import type { Pod, ResourceQuota } from "../../api/index.ts";
import { groupResourceText } from "../../apimachinery/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import {
  discoverResources,
  isConflict,
  isNotFound,
  keyOf,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  RESOURCE_QUOTAS,
  SERVICES,
  splitKey,
} from "../../client/index.ts";
import type { ApiResource, Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";
import { kindsCounted, planQuotaStatus } from "./plan.ts";
import type { CountedKind } from "./plan.ts";

/** A quota whose objects come and go by the hundred is counted this often. */
const REST_MS = 200;
/** Kinds that were not served may be now. */
const UNKNOWN_KIND_RETRY_MS = 30_000;
/** Pods stop counting some time after their deletion, without an event that says so. */
const RESYNC_MS = 5 * 60_000;

/** Of these more than metadata counts. */
const WHOLE: readonly ApiResource<KubeObject>[] = [PODS, SERVICES, PERSISTENT_VOLUME_CLAIMS];

/** Tells in the status of each ResourceQuota how much of it is used; admission does not read it. */
export function startResourceQuotaController(context: ControllerContext): void {
  new ResourceQuotaController(context).start();
}

class ResourceQuotaController {
  readonly #context: ControllerContext;
  readonly #quotas: Informer<ResourceQuota>;
  /** What quotas count, watched since the first one that does. */
  readonly #watched = new Map<string, Informer<KubeObject>>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#quotas = context.informers.for(RESOURCE_QUOTAS);
  }

  start(): void {
    const queue = runController(this.#context, {
      name: "resourcequota",
      informers: [this.#quotas],
      allKeys: () => this.#quotas.lister.keys(),
      reconcile: (key) => this.#reconcile(queue, key),
    });
    this.#quotas.addHandler({
      onAdd: (quota) => queue.add(keyOf(quota)),
      onUpdate: (_, quota) => queue.add(keyOf(quota)),
    });
  }

  async #reconcile(queue: WorkQueue, key: string): Promise<ReconcileResult | void> {
    const { namespace, name } = splitKey(key);
    const { client, clock } = this.#context;
    const quota = this.#quotas.lister.get(namespace, name);
    if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return undefined;
    const wanted = kindsCounted(quota);
    await this.#watchKinds(queue, wanted);
    const counted = [...wanted].flatMap((kind) => this.#countedKind(kind, namespace));
    const status = planQuotaStatus(quota, counted, clock.now());
    if (status !== undefined) {
      try {
        await client.resource(RESOURCE_QUOTAS, namespace).updateStatus({ ...quota, status });
      } catch (error) {
        // Its next state comes by the watch, or it is gone.
        if (!isConflict(error) && !isNotFound(error)) throw error;
      }
    }
    const requeueAfterMs = counted.length < wanted.size ? UNKNOWN_KIND_RETRY_MS : RESYNC_MS;
    return { restMs: REST_MS, requeueAfterMs };
  }

  #countedKind(kind: string, namespace: string): CountedKind[] {
    const informer = this.#watched.get(kind);
    if (informer === undefined) return [];
    return [{ kind: informer.resource, objects: informer.lister.list({ namespace }) }];
  }

  async #watchKinds(queue: WorkQueue, kinds: ReadonlySet<string>): Promise<void> {
    const missing = [...kinds].filter((kind) => !this.#watched.has(kind));
    if (missing.length > 0) {
      const known = new Map(WHOLE.map((resource) => [groupResourceText(resource), resource]));
      const isKnown = missing.every((kind) => known.has(kind));
      const { resources } = isKnown
        ? { resources: [] }
        : await discoverResources(this.#context.client);
      for (const kind of missing) {
        const whole = known.get(kind);
        const found = whole ?? resources.find((resource) => groupResourceText(resource) === kind);
        if (found !== undefined) this.#watch(queue, kind, found);
      }
    }
    await Promise.all([...kinds].map(async (kind) => this.#watched.get(kind)?.synced()));
  }

  #watch(queue: WorkQueue, kind: string, resource: ApiResource<KubeObject>): void {
    if (this.#watched.has(kind)) return;
    const { informers } = this.#context;
    const informer = WHOLE.includes(resource)
      ? informers.for(resource)
      : informers.forMetadata(resource);
    this.#watched.set(kind, informer);
    const recount = ({ metadata }: KubeObject): void => this.#recount(queue, kind, metadata);
    informer.addHandler({
      onAdd: recount,
      onDelete: recount,
      onUpdate: (old, next) => {
        if (kind !== "pods" || countsOtherwise(old, next)) recount(next);
      },
    });
  }

  #recount(queue: WorkQueue, kind: string, { namespace = "" }: KubeObject["metadata"]): void {
    for (const quota of this.#quotas.lister.list({ namespace })) {
      if (kindsCounted(quota).has(kind)) queue.add(keyOf(quota));
    }
  }
}

/** Most updates of a pod are about its containers, of which there are many. */
function countsOtherwise(old: Pod, next: Pod): boolean {
  return (
    old.status?.phase !== next.status?.phase ||
    old.metadata.deletionTimestamp !== next.metadata.deletionTimestamp ||
    old.metadata.generation !== next.metadata.generation
  );
}
