import type { Node, Pod } from "../../api/index.ts";
import { isConflict, isNotFound, NODES, PODS } from "../../client/index.ts";
import type { Informer } from "../../client/index.ts";
import { sleep } from "../../lib/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { isPodFinished } from "../pod-state.ts";
import { MAX_FINISHED_PODS, planPodGc } from "./plan.ts";
import type { PodRemoval } from "./plan.ts";

const OUT_OF_SERVICE_TAINT = "node.kubernetes.io/out-of-service";
const INTERVAL_MS = 20_000;
/** Removals a round; what is left comes with the next. */
const MAX_REMOVALS = 500;

/** Takes away pods of nodes that no longer exist, and finished ones beyond the limit. */
export function startPodGc(context: ControllerContext): void {
  const collector = new PodGarbageCollector(context);
  collector.run().catch((error: unknown) => {
    context.logger.error("pod garbage collector ended", { error: String(error) });
  });
}

class PodGarbageCollector {
  readonly #context: ControllerContext;
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  /** Names that pods are bound to and no node has, and since when. */
  readonly #missing = new Map<string, number>();
  /** Rings when a round is wanted before its time. */
  #alarm = new AbortController();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#nodes = context.informers.for(NODES);
    this.#pods = context.informers.for(PODS);
  }

  async run(): Promise<void> {
    const { clock, logger, signal } = this.#context;
    await Promise.all([this.#nodes.synced(), this.#pods.synced()]);
    this.#pods.addHandler({
      onAdd: (pod) => this.#ringFor(pod),
      onUpdate: (_old, pod) => this.#ringFor(pod),
    });
    while (!signal.aborted) {
      this.#alarm = new AbortController();
      this.#noteMissing();
      const pods = this.#pods.lister.list();
      const missingForMs = (name: string) => this.#missingForMs(name);
      const isOutOfService = (name: string) => this.#isOutOfService(name);
      const limits = { maxFinishedPods: MAX_FINISHED_PODS };
      const observed = { pods, missingForMs, isOutOfService, ...limits };
      for (const removal of planPodGc(observed).slice(0, MAX_REMOVALS)) {
        try {
          await this.#remove(removal);
        } catch (error) {
          const { name } = removal.pod.metadata;
          logger.warn("pod not removed", { pod: name, error: String(error) });
        }
      }
      await sleep(clock, INTERVAL_MS, AbortSignal.any([signal, this.#alarm.signal]));
    }
  }

  /** A deleted pod whose node is not there would hold up its namespace until the next round. */
  #ringFor({ metadata, spec }: Pod): void {
    const nodeName = spec?.nodeName ?? "";
    const doomed = metadata.deletionTimestamp !== undefined;
    if (doomed && nodeName !== "" && !this.#exists(nodeName)) this.#alarm.abort();
  }

  #noteMissing(): void {
    const nowMs = this.#context.clock.monotonic();
    const named = new Set(this.#pods.lister.list().map(({ spec }) => spec?.nodeName ?? ""));
    for (const name of this.#missing.keys()) {
      if (!named.has(name) || this.#exists(name)) this.#missing.delete(name);
    }
    for (const name of named) {
      if (name !== "" && !this.#exists(name) && !this.#missing.has(name)) {
        this.#missing.set(name, nowMs);
      }
    }
  }

  #exists(nodeName: string): boolean {
    return this.#nodes.lister.get("", nodeName) !== undefined;
  }

  /** Kubernetes' way to give up pods of a machine that is surely off, without its object. */
  #isOutOfService(nodeName: string): boolean {
    const node = this.#nodes.lister.get("", nodeName);
    const ready = node?.status?.conditions?.find(({ type }) => type === "Ready");
    return (
      ready?.status !== "True" &&
      (node?.spec?.taints ?? []).some(({ key }) => key === OUT_OF_SERVICE_TAINT)
    );
  }

  #missingForMs(nodeName: string): number | undefined {
    const sinceMs = this.#missing.get(nodeName);
    return sinceMs === undefined ? undefined : this.#context.clock.monotonic() - sinceMs;
  }

  async #remove({ pod, why }: PodRemoval): Promise<void> {
    const { namespace, name = "", uid = "" } = pod.metadata;
    const { client } = this.#context;
    if (why === "node-gone" && (await this.#isThere(pod.spec?.nodeName ?? ""))) return;
    const pods = client.resource(PODS, namespace);
    try {
      if ((why === "node-gone" || why === "out-of-service") && !isPodFinished(pod)) {
        // Whoever counts the pod should see that it failed, not that it was taken back.
        const patch = { metadata: { uid }, status: { phase: "Failed", reason: "NodeLost" } };
        await pods.patch(name, patch, { type: "merge", subresource: "status" });
      }
      await pods.delete(name, { gracePeriodSeconds: 0, preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  /** The cache may be behind; a pod taken away in error cannot be given back. */
  async #isThere(nodeName: string): Promise<boolean> {
    try {
      await this.#context.client.resource(NODES).get(nodeName);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }
}
