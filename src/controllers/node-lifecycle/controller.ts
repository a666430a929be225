import { rfc3339 } from "../../apimachinery/index.ts";
import type { Node, Pod } from "../../api/index.ts";
import {
  isConflict,
  isNotFound,
  keyOf,
  LEASES,
  NODES,
  PODS,
  splitKey,
} from "../../client/index.ts";
import type { EventRecorder, Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import { sleep, unreachable } from "../../lib/index.ts";
import { recorderFor } from "../controller-context.ts";
import type { ControllerContext } from "../controller-context.ts";
import { deleteExactly } from "../delete-exactly.ts";
import { deepEqual } from "../deep-equal.ts";
import { podCondition } from "../pod-state.ts";
import { runController } from "../run-controller.ts";
import { EvictionPace, judgeDisruption, zoneOf } from "./disruption.ts";
import type { Disruption } from "./disruption.ts";
import { planEviction } from "./eviction.ts";
import { awaitsEviction, NODE_GRACE_MS, planNode, readinessIn } from "./health.ts";
import type { EvictionLeave, NodeAction } from "./health.ts";
import { Heartbeats } from "./heartbeats.ts";

export const MONITOR_INTERVAL_MS = 5000;
/** A round that comes this late means that this process stood still, not the nodes. */
const STALLED_MS = 3 * MONITOR_INTERVAL_MS;
const LEASE_NAMESPACE = "kube-node-lease";
export const NODE_INDEX = "node";

export interface NodeLifecycleOptions {
  /** How long a node may be silent. Default {@link NODE_GRACE_MS}. */
  readonly graceMs?: number;
}

/** Notices nodes that have gone silent, keeps pods off them and moves theirs elsewhere. */
export function startNodeLifecycleController(
  context: ControllerContext,
  options: NodeLifecycleOptions = {},
): void {
  new NodeLifecycleController(context, options.graceMs ?? NODE_GRACE_MS).start();
}

class NodeLifecycleController {
  readonly #context: ControllerContext;
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  readonly #recorder: EventRecorder;
  readonly #heartbeats: Heartbeats;
  readonly #pace = new EvictionPace();
  /** Evictions for lost nodes begin here at the earliest: a new leader hears everybody first. */
  readonly #notBeforeMs: number;
  #disruption: Disruption | undefined;

  constructor(context: ControllerContext, graceMs: number) {
    this.#context = context;
    this.#nodes = context.informers.for(NODES);
    this.#pods = context.informers.for(PODS);
    this.#recorder = recorderFor(context, "node-controller");
    this.#heartbeats = new Heartbeats(context.clock, graceMs);
    this.#notBeforeMs = context.clock.now() + graceMs;
  }

  start(): void {
    this.#pods.addIndex(NODE_INDEX, (pod) => [pod.spec?.nodeName ?? ""]);
    const informers = [this.#nodes, this.#pods];
    const nodeQueue = runController(this.#context, {
      name: "nodelifecycle",
      informers,
      allKeys: () => this.#nodes.lister.keys(),
      reconcile: (name) => this.#reconcileNode(name),
    });
    const podQueue = runController(this.#context, {
      name: "taint-eviction",
      informers,
      allKeys: () => this.#pods.lister.keys(),
      reconcile: (key) => this.#reconcilePod(key),
    });
    this.#nodes.addHandler({
      onAdd: (node) => this.#nodeChanged(nodeQueue, podQueue, undefined, node),
      onUpdate: (old, node) => this.#nodeChanged(nodeQueue, podQueue, old, node),
      onDelete: ({ metadata }) => this.#heartbeats.forget(metadata.name ?? ""),
    });
    const enqueuePod = (pod: Pod): void => {
      if (this.#nodeTaints(pod).length > 0) podQueue.add(keyOf(pod));
    };
    this.#pods.addHandler({
      onAdd: enqueuePod,
      onUpdate: (old, pod) => {
        if (old.spec?.nodeName !== pod.spec?.nodeName) enqueuePod(pod);
        else if (!deepEqual(old.spec?.tolerations, pod.spec?.tolerations)) enqueuePod(pod);
      },
    });
    this.#monitor(nodeQueue).catch((error: unknown) => {
      this.#context.logger.error("node monitor ended", { error: String(error) });
    });
  }

  #nodeChanged(nodeQueue: WorkQueue, podQueue: WorkQueue, old: Node | undefined, node: Node): void {
    const { name = "" } = node.metadata;
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    // A status posted by the node is a sign of life; one that says Unknown was written here.
    if (ready?.status !== "Unknown") {
      this.#heartbeats.status(name, ready?.lastHeartbeatTime ?? "");
    }
    nodeQueue.add(name);
    if (deepEqual(old?.spec?.taints ?? [], node.spec?.taints ?? [])) return;
    this.#heartbeats.sawTaints(name, node.spec?.taints ?? []);
    for (const pod of this.#pods.lister.byIndex(NODE_INDEX, name)) podQueue.add(keyOf(pod));
  }

  /**
   * Reads the nodes' leases every few seconds. They are read and not watched, because a renewal
   * that changes nothing else is no event.
   */
  async #monitor(queue: WorkQueue): Promise<void> {
    const { client, clock, logger, signal } = this.#context;
    let lastMs = clock.monotonic();
    while (!signal.aborted) {
      await sleep(clock, MONITOR_INTERVAL_MS, signal);
      if (signal.aborted) return;
      if (clock.monotonic() - lastMs > STALLED_MS) this.#heartbeats.grantAll();
      lastMs = clock.monotonic();
      if (this.#nodes.lister.size === 0) continue;
      try {
        const leases = await client.resource(LEASES, LEASE_NAMESPACE).list();
        for (const { metadata, spec } of leases.items) {
          this.#heartbeats.lease(metadata.name ?? "", spec?.renewTime ?? "");
        }
      } catch (error) {
        logger.debug("node leases not read", { error: String(error) });
        // What could not be heard is no silence.
        this.#heartbeats.grantAll();
      }
      this.#judge(queue);
      for (const name of this.#nodes.lister.keys()) {
        if (this.#heartbeats.isOverdue(name)) queue.add(name);
      }
    }
  }

  /** Looks at all nodes together: whether those that are silent may be given up. */
  #judge(queue: WorkQueue): void {
    const before = this.#disruption;
    const isReady = ({ metadata, status }: Node): boolean =>
      readinessIn(status?.conditions) === "True" &&
      !this.#heartbeats.isOverdue(metadata.name ?? "");
    this.#disruption = judgeDisruption(this.#nodes.lister.list(), isReady);
    if (before === undefined || before.everywhere === this.#disruption.everywhere) return;
    const { everywhere } = this.#disruption;
    this.#context.logger.warn(
      everywhere ? "no node is ready: no pod is evicted" : "nodes are ready again",
    );
    if (!everywhere) this.#heartbeats.startOver();
    for (const name of this.#nodes.lister.keys()) queue.add(name);
  }

  /** Counts when it allows: nodes are given up one after another. */
  #evictionLeave(node: Node, isSilent: boolean): { leave: EvictionLeave; waitMs: number } {
    const held = { leave: "held", waitMs: MONITOR_INTERVAL_MS } as const;
    if (this.#disruption === undefined) return held;
    if (this.#disruption.everywhere) return { leave: "lifted", waitMs: 0 };
    if (!awaitsEviction({ node, isSilent })) return { leave: "held", waitMs: 0 };
    const rate = this.#disruption.rates.get(zoneOf(node)) ?? 0;
    const waitMs = this.#pace.take(zoneOf(node), rate, this.#context.clock.monotonic());
    if (waitMs === 0) return { leave: "allowed", waitMs };
    return waitMs === Infinity ? held : { leave: "held", waitMs };
  }

  async #reconcileNode(name: string): Promise<ReconcileResult> {
    const node = this.#nodes.lister.get("", name);
    if (node === undefined) return {};
    const nowMs = this.#context.clock.now();
    const isSilent = this.#heartbeats.isOverdue(name);
    const { leave, waitMs } = this.#evictionLeave(node, isSilent);
    for (const action of planNode({ node, isSilent, nowMs, eviction: leave })) {
      if ((await this.#doNode(node, action)) === "changed-meanwhile") return {};
    }
    return leave === "held" && awaitsEviction({ node, isSilent }) && waitMs > 0
      ? { requeueAfterMs: waitMs }
      : {};
  }

  async #doNode(node: Node, action: NodeAction): Promise<"done" | "changed-meanwhile"> {
    const { name = "", uid = "", resourceVersion = "" } = node.metadata;
    const nodes = this.#context.client.resource(NODES);
    try {
      switch (action.type) {
        case "conditions": {
          const patch = { metadata: { uid }, status: { conditions: action.conditions } };
          await nodes.patch(name, patch, { type: "strategic", subresource: "status" });
          break;
        }
        case "taints": {
          // Taints are one list with other owners: read afresh when the cache is behind.
          const live = await nodes.get(name);
          if (!deepEqual(live.spec?.taints ?? [], node.spec?.taints ?? []))
            return "changed-meanwhile";
          const guard = { uid, resourceVersion: live.metadata.resourceVersion ?? resourceVersion };
          const patch = { metadata: guard, spec: { taints: action.taints } };
          await nodes.patch(name, patch, { type: "merge" });
          break;
        }
        case "tell-not-ready": {
          const about = { ...node, apiVersion: "v1", kind: "Node" };
          const message = `Node ${name} status is now: NodeNotReady`;
          this.#recorder.event(about, "Normal", "NodeNotReady", message);
          break;
        }
        case "mark-pods-not-ready":
          await this.#markPodsNotReady(name);
          break;
        default:
          unreachable(action);
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return "done";
  }

  async #markPodsNotReady(nodeName: string): Promise<void> {
    for (const pod of this.#pods.lister.byIndex(NODE_INDEX, nodeName)) {
      if (podCondition(pod, "Ready")?.status !== "True") continue;
      const { namespace, name = "", uid = "" } = pod.metadata;
      const lastTransitionTime = rfc3339(this.#context.clock.now());
      const condition = { type: "Ready", status: "False", lastTransitionTime };
      const patch = { metadata: { uid }, status: { conditions: [condition] } };
      const options = { type: "strategic", subresource: "status" } as const;
      try {
        await this.#context.client.resource(PODS, namespace).patch(name, patch, options);
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
    }
  }

  #nodeTaints(pod: Pod) {
    const node = this.#nodes.lister.get("", pod.spec?.nodeName ?? "");
    return (node?.spec?.taints ?? []).filter(({ effect }) => effect === "NoExecute");
  }

  async #reconcilePod(key: string): Promise<ReconcileResult> {
    const { namespace, name } = splitKey(key);
    const pod = this.#pods.lister.get(namespace, name);
    if (pod === undefined) return {};
    const nodeName = pod.spec?.nodeName ?? "";
    const taints = this.#nodeTaints(pod);
    const nowMs = this.#context.clock.now();
    const firstSeenMs = (taint: { key: string }) => this.#heartbeats.taintSeenMs(nodeName, taint);
    const notBeforeMs = this.#notBeforeMs;
    const plan = planEviction({ pod, taints, firstSeenMs, notBeforeMs, nowMs });
    switch (plan.type) {
      case "keep":
        return {};
      case "wait":
        return { requeueAfterMs: plan.forMs };
      case "evict":
        await this.#evict(pod);
        return {};
      default:
        return unreachable(plan);
    }
  }

  async #evict(pod: Pod): Promise<void> {
    const { namespace = "", name = "" } = pod.metadata;
    const about = { ...pod, apiVersion: "v1", kind: "Pod" };
    const message = `Marking for deletion Pod ${namespace}/${name}`;
    this.#recorder.event(about, "Normal", "TaintManagerEviction", message);
    await deleteExactly(this.#context.client.resource(PODS, namespace), pod);
  }
}
