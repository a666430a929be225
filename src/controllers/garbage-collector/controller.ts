import type { KubeObject } from "../../apimachinery/index.ts";
import type { OwnerReference } from "../../api/index.ts";
import { discoverResources, isConflict, isNotFound } from "../../client/index.ts";
import type {
  DiscoveredResource,
  Informer,
  ReconcileResult,
  WorkQueue,
} from "../../client/index.ts";
import { sleep, unreachable } from "../../lib/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";
import { CustomKinds } from "./custom-kinds.ts";
import { graphNodeOf, isDeletingDependents, OwnerGraph } from "./graph.ts";
import type { GraphNode } from "./graph.ts";
import { planCollection } from "./plan.ts";
import type { CollectorAction, OwnerState } from "./plan.ts";

/** Kinds are looked for this often, and whenever a CustomResourceDefinition changes. */
const DISCOVERY_INTERVAL_MS = 5 * 60_000;
const DISCOVERY_RETRY_MS = 1000;
const LOOK_AGAIN_MS = 5000;
/** Rounds of read and write lost to other writers before the queue's back-off takes over. */
const MAX_EDIT_ATTEMPTS = 5;
/** Uids known to be gone, so that a thousand orphans ask once; the oldest are forgotten. */
const MAX_ABSENT_OWNERS = 1000;
/** Events come and go by the thousand, own nothing and are owned by nothing. */
const IGNORED_RESOURCES = new Set(["events"]);

/** Deletes what nobody owns any more, and carries out foreground and orphaning deletion. */
export function startGarbageCollector(context: ControllerContext): void {
  new GarbageCollector(context).start();
}

class GarbageCollector {
  readonly #context: ControllerContext;
  readonly #graph = new OwnerGraph();
  readonly #watched = new Map<string, Informer<KubeObject>>();
  readonly #customKinds: CustomKinds;
  /** Ends the wait for the next look at what kinds there are. */
  #wake = new AbortController();
  #resources: readonly DiscoveredResource[] = [];
  readonly #absent = new Set<string>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#customKinds = new CustomKinds(context);
  }

  start(): void {
    this.#customKinds.onChange(() => this.#wake.abort());
    const allSynced = Promise.withResolvers<void>();
    const queue = runController(this.#context, {
      name: "garbagecollector",
      informers: [{ synced: () => allSynced.promise }],
      allKeys: () => [],
      reconcile: (uid) => this.#reconcile(uid),
    });
    this.#watchEverything(queue, () => allSynced.resolve()).catch((error: unknown) => {
      this.#context.logger.error("garbage collector ended", { error: String(error) });
    });
  }

  /** Finds kinds and watches them, for as long as the controller runs. */
  async #watchEverything(queue: WorkQueue, onSynced: () => void): Promise<void> {
    const { client, clock, logger, signal } = this.#context;
    await this.#customKinds.synced();
    while (!signal.aborted) {
      this.#wake = new AbortController();
      let delayMs = DISCOVERY_INTERVAL_MS;
      try {
        const { resources, failures } = await discoverResources(client);
        if (failures.length > 0) delayMs = DISCOVERY_RETRY_MS;
        this.#resources = resources;
        for (const resource of resources) this.#watch(queue, resource);
        if (failures.length === 0) {
          for (const { metadata } of this.#customKinds.forgetOthers(resources)) {
            this.#deleted(queue, metadata.uid ?? "");
          }
        }
        await Promise.all([...this.#watched.values()].map((informer) => informer.synced()));
        onSynced();
      } catch (error) {
        logger.debug("discovery failed", { error: String(error) });
        delayMs = DISCOVERY_RETRY_MS;
      }
      await sleep(clock, delayMs, AbortSignal.any([signal, this.#wake.signal]));
    }
  }

  #watch(queue: WorkQueue, resource: DiscoveredResource): void {
    const key = `${resource.group}/${resource.resource}`;
    const needed = ["list", "watch", "delete"].every((verb) => resource.verbs.includes(verb));
    if (!needed || this.#watched.has(key) || IGNORED_RESOURCES.has(resource.resource)) return;
    const isCustom = this.#customKinds.has(resource);
    const informer = isCustom
      ? this.#customKinds.watch(resource)
      : this.#context.informers.forMetadata(resource);
    if (informer === undefined) return;
    if (!isCustom) this.#watched.set(key, informer);
    informer.addHandler({
      onAdd: (object) => this.#changed(queue, graphNodeOf(resource, object)),
      onUpdate: (_, object) => this.#changed(queue, graphNodeOf(resource, object)),
      onDelete: (object) => this.#deleted(queue, object.metadata.uid ?? ""),
    });
  }

  #changed(queue: WorkQueue, node: GraphNode): void {
    const before = this.#graph.get(node.uid);
    this.#graph.set(node);
    this.#absent.delete(node.uid);
    if (node.owners.length > 0 || node.isDeleting) queue.add(node.uid);
    // An owner that waits for its dependents looks again when one lets go of it.
    for (const { uid } of before?.owners ?? []) this.#lookAtWaiting(queue, uid);
    if (isDeletingDependents(node) && !(before !== undefined && isDeletingDependents(before))) {
      for (const { uid } of this.#graph.dependentsOf(node.uid)) queue.add(uid);
    }
  }

  #deleted(queue: WorkQueue, uid: string): void {
    const node = this.#graph.get(uid);
    this.#graph.delete(uid);
    this.#rememberAbsent(uid);
    for (const dependent of this.#graph.dependentsOf(uid)) queue.add(dependent.uid);
    for (const owner of node?.owners ?? []) this.#lookAtWaiting(queue, owner.uid);
  }

  #lookAtWaiting(queue: WorkQueue, uid: string): void {
    const owner = this.#graph.get(uid);
    if (owner !== undefined && isDeletingDependents(owner)) queue.add(uid);
  }

  #rememberAbsent(uid: string): void {
    this.#absent.add(uid);
    if (this.#absent.size <= MAX_ABSENT_OWNERS) return;
    const oldest = this.#absent.values().next();
    if (oldest.done !== true) this.#absent.delete(oldest.value);
  }

  async #reconcile(uid: string): Promise<ReconcileResult> {
    const node = this.#graph.get(uid);
    if (node === undefined) return {};
    const owners = await Promise.all(
      node.owners.map(async (reference) => {
        return { reference, state: await this.#stateOf(reference, node.namespace) };
      }),
    );
    const dependents = this.#graph.dependentsOf(uid);
    for (const action of planCollection({ node, owners, dependents })) {
      if (action.type === "look-again") return { requeueAfterMs: LOOK_AGAIN_MS };
      if (action.type === "collect") {
        for (const dependent of action.dependents) await this.#reconcileBlocking(dependent);
      } else await this.#do(node, action);
    }
    return {};
  }

  /** A dependent that stands in the way of its owner's deletion is judged at once. */
  async #reconcileBlocking(dependent: GraphNode): Promise<void> {
    if (!dependent.isDeleting) await this.#reconcile(dependent.uid);
  }

  async #stateOf(reference: OwnerReference, namespace: string): Promise<OwnerState> {
    const known = this.#graph.get(reference.uid);
    if (known !== undefined) {
      // A reference into another namespace names nobody.
      if (known.namespace !== "" && known.namespace !== namespace) return "absent";
      return isDeletingDependents(known) ? "deleting-dependents" : "exists";
    }
    if (this.#absent.has(reference.uid)) return "absent";
    const resource = this.#resourceOf(reference);
    if (resource === undefined) return "unknown";
    if (resource.namespaced && namespace === "") return "absent";
    const collection = this.#context.client.resource(resource, namespace, { view: "metadata" });
    try {
      const owner = await collection.get(reference.name);
      if (owner.metadata.uid === reference.uid) return "exists";
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.#rememberAbsent(reference.uid);
    return "absent";
  }

  #resourceOf({ apiVersion, kind }: OwnerReference): DiscoveredResource | undefined {
    const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
    return this.#resources.find((one) => one.group === group && one.kind === kind);
  }

  async #do(
    node: GraphNode,
    action: Exclude<CollectorAction, { type: "look-again" | "collect" }>,
  ): Promise<void> {
    switch (action.type) {
      case "delete":
        await this.#delete(node, action.propagationPolicy);
        break;
      case "disown":
        await this.#disown(node, action.ownerUids);
        break;
      case "orphan-dependents":
        for (const dependent of action.dependents) await this.#disown(dependent, [node.uid]);
        break;
      case "remove-finalizer":
        await this.#removeFinalizer(node, action.finalizer);
        break;
      default:
        unreachable(action);
    }
  }

  /** Only as it was judged: an object that has changed is judged again. */
  async #delete(
    node: GraphNode,
    propagationPolicy: "Background" | "Foreground" | "Orphan",
  ): Promise<void> {
    const { name, uid, resourceVersion } = node;
    const preconditions = { uid, resourceVersion };
    try {
      await this.#collectionOf(node).delete(name, { propagationPolicy, preconditions });
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
  }

  #disown(node: GraphNode, ownerUids: readonly string[]): Promise<void> {
    const gone = new Set(ownerUids);
    return this.#edit(node, ({ ownerReferences = [] }) => ({
      ownerReferences: ownerReferences.filter(({ uid }) => !gone.has(uid)),
    }));
  }

  #removeFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    return this.#edit(node, ({ finalizers = [] }) => ({
      finalizers: finalizers.filter((one) => one !== finalizer),
    }));
  }

  /** Changes metadata from its live state, guarded by the revision that was read. */
  async #edit(
    node: GraphNode,
    edit: (metadata: KubeObject["metadata"]) => Partial<KubeObject["metadata"]>,
  ): Promise<void> {
    const { name, uid } = node;
    const collection = this.#collectionOf(node);
    for (let attempt = 1; ; attempt++) {
      try {
        const { metadata } = await collection.get(name);
        if (metadata.uid !== uid) return;
        const { resourceVersion } = metadata;
        const patch = { metadata: { uid, resourceVersion, ...edit(metadata) } };
        await collection.patch(name, patch, { type: "merge" });
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || attempt >= MAX_EDIT_ATTEMPTS) throw error;
      }
    }
  }

  #collectionOf(node: GraphNode) {
    const { resource, namespace } = node;
    return this.#context.client.resource(resource, namespace, { view: "metadata" });
  }
}
