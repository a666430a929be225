import type { ApiResource, Client } from "../../client/index.ts";
import { createClient, NAMESPACES, NODES, PODS } from "../../client/index.ts";
import { FakeApi } from "../../client/testing/fake-api.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import { rfc3339 } from "../../apimachinery/index.ts";
import type { Event, Node, Pod } from "../../api/index.ts";
import { EVENTS } from "../../client/index.ts";
import { drainMicrotasks, ManualClock, SeededRandom, silentLogger } from "../../lib/index.ts";
import { startScheduler } from "../../scheduler/index.ts";
import { startControllers } from "../start-controllers.ts";

const HEARTBEAT_MS = 10_000;

/** A whole control plane over the fake API, with a node agent of ten lines and a manual clock. */
export class ToyCluster {
  readonly clock = new ManualClock();
  readonly api = new FakeApi({ clock: this.clock });
  readonly client: Client = createClient({ fetch: this.api.fetch, userAgent: "test" });
  readonly #stop = new AbortController();
  /** Whether the node agents work, and whether their pods pass their readiness probe. */
  agent: "ready" | "never-ready" | "silent" = "ready";
  /** Nodes whose agents do nothing, whatever the others do. */
  readonly lost = new Set<string>();
  #addresses = 0;
  #heardMs = 0;

  constructor(
    options: {
      readonly nodes?: readonly string[];
      readonly rootCa?: string;
      readonly clusterCidr?: string;
    } = {},
  ) {
    this.seed(NAMESPACES, { metadata: { name: "default" }, spec: { finalizers: ["kubernetes"] } });
    for (const name of options.nodes ?? ["n1"]) this.seed(NODES, toyNode(name));
    const { client, clock } = this;
    const common = { client, clock, logger: silentLogger, signal: this.#stop.signal };
    const random = new SeededRandom(11);
    const { nodes: _, ...settings } = options;
    startControllers({ ...common, random, ...settings });
    startScheduler({ ...common, random });
  }

  seed<T extends KubeObject>(resource: ApiResource<T>, object: T): T {
    return this.api.seed(resource, object);
  }

  all<T extends KubeObject>(resource: ApiResource<T>): T[] {
    return this.api.all<T>(resource);
  }

  names(resource: ApiResource<KubeObject>): string[] {
    return this.all(resource).map(({ metadata }) => metadata.name ?? "");
  }

  get events(): string[] {
    return this.all<Event>(EVENTS).map(({ reason, message }) => `${reason}: ${message}`);
  }

  /** Lets time pass, the agents looking at their pods in between. */
  async run(durationMs: number, stepMs = 50): Promise<void> {
    for (let passedMs = 0; passedMs < durationMs; passedMs += stepMs) {
      await drainMicrotasks();
      if (this.agent !== "silent") this.#agentRound();
      await this.clock.advanceAsync(stepMs);
    }
    await drainMicrotasks();
  }

  stop(): void {
    this.#stop.abort();
  }

  #agentRound(): void {
    const nodes = new Set(this.names(NODES).filter((name) => !this.lost.has(name)));
    for (const pod of this.all<Pod>(PODS)) {
      if (!nodes.has(pod.spec?.nodeName ?? "")) continue;
      if (pod.metadata.deletionTimestamp !== undefined) this.api.remove(PODS, pod);
      else if (pod.status?.podIP === undefined) this.#startPod(pod);
    }
    if (this.clock.now() - this.#heardMs < HEARTBEAT_MS) return;
    this.#heardMs = this.clock.now();
    for (const node of this.all<Node>(NODES)) {
      if (!nodes.has(node.metadata.name ?? "")) continue;
      this.api.change<Node>(NODES, node, ({ status }) => {
        for (const condition of status?.conditions ?? []) {
          condition.lastHeartbeatTime = rfc3339(this.clock.now());
          if (condition.type === "Ready") condition.status = "True";
        }
      });
    }
  }

  #startPod(pod: Pod): void {
    const lastTransitionTime = rfc3339(this.clock.now());
    const status = this.agent === "ready" ? "True" : "False";
    const podIP = `127.42.0.${++this.#addresses}`;
    this.api.change<Pod>(PODS, pod, (object) => {
      const conditions = [{ type: "Ready", status, lastTransitionTime }];
      object.status = { ...object.status, phase: "Running", podIP, conditions };
    });
  }
}

export function toyNode(name: string): Node {
  const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: "" }];
  const allocatable = { cpu: "8", memory: "8Gi", pods: "110" };
  return { metadata: { name }, spec: {}, status: { allocatable, conditions } };
}
