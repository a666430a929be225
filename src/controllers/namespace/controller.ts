import type { Namespace } from "../../api/index.ts";
import { discoverResources, isNotFound, NAMESPACES } from "../../client/index.ts";
import type { Client, DiscoveredResource, Informer, ReconcileResult } from "../../client/index.ts";
import { unreachable } from "../../lib/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";
import { KUBERNETES_FINALIZER, planNamespaceDeletion } from "./plan.ts";
import type { DeletionRound, NamespaceAction } from "./plan.ts";

/**
 * `kubectl delete -f` deletes a namespace and then, one by one, what the same file has in it, and
 * fails where something is gone already. Emptying waits until such a client is through.
 */
export const EMPTYING_DELAY_MS = 2000;
const FIRST_LOOK_AGAIN_MS = 100;
const MAX_LOOK_AGAIN_MS = 5000;
/** Objects counted a resource; the message says how many are left, not who they are. */
const COUNT_LIMIT = 500;

/** Empties namespaces that are to go, and lets them go. */
export function startNamespaceController(context: ControllerContext): void {
  new NamespaceController(context).start();
}

class NamespaceController {
  readonly #context: ControllerContext;
  readonly #namespaces: Informer<Namespace>;
  /** Rounds a namespace has taken so far, by name: each waits longer than the one before. */
  readonly #rounds = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#namespaces = context.informers.for(NAMESPACES);
  }

  start(): void {
    const queue = runController(this.#context, {
      name: "namespace",
      concurrency: 2,
      informers: [this.#namespaces],
      allKeys: () => this.#namespaces.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    const enqueue = ({ metadata }: Namespace): void => {
      if (metadata.deletionTimestamp === undefined) return;
      queue.addAfter(metadata.name ?? "", EMPTYING_DELAY_MS);
    };
    this.#namespaces.addHandler({
      onAdd: enqueue,
      onUpdate: (old, namespace) => {
        // Our own conditions are no news.
        if (old.metadata.deletionTimestamp === undefined) enqueue(namespace);
      },
      onDelete: ({ metadata }) => this.#rounds.delete(metadata.name ?? ""),
    });
  }

  async #reconcile(name: string): Promise<ReconcileResult> {
    const namespace = this.#namespaces.lister.get("", name);
    if (namespace?.metadata.deletionTimestamp === undefined) return {};
    if (!(namespace.spec?.finalizers ?? []).includes(KUBERNETES_FINALIZER)) return {};
    const round = await deleteContent(this.#context.client, name);
    const nowMs = this.#context.clock.now();
    let result: ReconcileResult = {};
    for (const action of planNamespaceDeletion(namespace, round, nowMs)) {
      if (action.type === "look-again") result = { requeueAfterMs: this.#nextDelay(name) };
      else await this.#do(namespace, action);
    }
    return result;
  }

  #nextDelay(name: string): number {
    const rounds = this.#rounds.get(name) ?? 0;
    this.#rounds.set(name, rounds + 1);
    return Math.min(FIRST_LOOK_AGAIN_MS * 2 ** rounds, MAX_LOOK_AGAIN_MS);
  }

  async #do(
    namespace: Namespace,
    action: Exclude<NamespaceAction, { type: "look-again" }>,
  ): Promise<void> {
    const namespaces = this.#context.client.resource(NAMESPACES);
    const { name = "", uid = "" } = namespace.metadata;
    try {
      switch (action.type) {
        case "conditions": {
          const patch = { metadata: { uid }, status: { conditions: action.conditions } };
          await namespaces.patch(name, patch, { type: "merge", subresource: "status" });
          break;
        }
        case "finalize": {
          // Conditions may have moved the revision; the finalizers are what counts.
          const latest = await namespaces.get(name);
          if (latest.metadata.uid !== uid) return;
          const spec = { ...latest.spec, finalizers: [...action.finalizers] };
          await namespaces.updateSubresource(name, "finalize", { ...latest, spec });
          break;
        }
        default:
          unreachable(action);
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Asks for the deletion of everything in a namespace and counts what is left. */
async function deleteContent(client: Client, namespace: string): Promise<DeletionRound> {
  const { resources, failures } = await discoverResources(client);
  const deletionFailures: string[] = [];
  const remaining = new Map<string, number>();
  const finalizers = new Map<string, number>();
  const deletable = resources.filter(
    ({ namespaced, verbs }) => namespaced && verbs.includes("delete") && verbs.includes("list"),
  );
  for (const resource of deletable) {
    try {
      const left = await deleteResource(client, resource, namespace);
      if (left.length === 0) continue;
      remaining.set(`${resource.resource}.${resource.group}`, left.length);
      for (const finalizer of left.flatMap(({ metadata }) => metadata.finalizers ?? [])) {
        finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : "unknown error";
      deletionFailures.push(`${resource.resource}.${resource.group}: ${why}`);
    }
  }
  return { discoveryFailures: failures, deletionFailures, remaining, finalizers };
}

async function deleteResource(client: Client, resource: DiscoveredResource, namespace: string) {
  const collection = client.resource(resource, namespace, { view: "metadata" });
  const found = await collection.list({ limit: COUNT_LIMIT });
  if (found.items.length === 0) return [];
  const pending = found.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (pending.length > 0 && resource.verbs.includes("deletecollection")) {
    await collection.deleteCollection({ propagationPolicy: "Background" });
  } else {
    for (const { metadata } of pending) {
      try {
        await collection.delete(metadata.name ?? "", { propagationPolicy: "Background" });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }
  return (await collection.list({ limit: COUNT_LIMIT })).items;
}
