import { describe, expect, test } from "bun:test";
import type { Deployment, IntOrString, Pod, ReplicaSet } from "../../api/index.ts";
import { rfc3339 } from "../../apimachinery/index.ts";
import { randomInteger, SeededRandom } from "../../lib/index.ts";
import type { Random } from "../../lib/index.ts";
import { planReplicaSet, replicaSetStatus } from "../replica-set/plan.ts";
import { rollingBounds } from "./bounds.ts";
import { planDeployment } from "./plan.ts";
import type { DeploymentAction } from "./plan.ts";

const START_MS = Date.UTC(2026, 0, 1);

/** A Deployment, its ReplicaSets and pods, moved by single steps in any order. */
class World {
  deployment: Deployment;
  replicaSets: ReplicaSet[] = [];
  pods = new Map<string, Pod[]>();
  steps = 0;
  #serial = 0;

  constructor(replicas: number, maxSurge: IntOrString, maxUnavailable: IntOrString) {
    this.deployment = {
      metadata: { name: "web", namespace: "default", uid: "d", generation: 1 },
      spec: {
        replicas,
        selector: { matchLabels: { app: "web" } },
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } },
        template: this.#template("v0"),
        progressDeadlineSeconds: 600,
      },
    };
  }

  get nowMs(): number {
    return START_MS + this.steps * 1000;
  }

  get allPods(): Pod[] {
    return [...this.pods.values()].flat();
  }

  get readyCount(): number {
    return this.allPods.filter((pod) => pod.status?.conditions?.[0]?.status === "True").length;
  }

  get specTotal(): number {
    return this.replicaSets.reduce((sum, { spec }) => sum + (spec?.replicas ?? 0), 0);
  }

  rollOut(image: string): void {
    const { spec, metadata } = this.deployment;
    if (spec === undefined) return;
    this.deployment = {
      ...this.deployment,
      metadata: { ...metadata, generation: (metadata.generation ?? 0) + 1 },
      spec: { ...spec, template: this.#template(image) },
    };
  }

  look(): readonly DeploymentAction[] {
    const { deployment, replicaSets, nowMs } = this;
    const actions = planDeployment({ deployment, replicaSets, pods: this.allPods, nowMs });
    for (const action of actions) this.#apply(action);
    return actions;
  }

  /** What the ReplicaSet controller does in one look: status of what it saw, then the change. */
  reconcile(index: number): void {
    const replicaSet = this.replicaSets[index];
    if (replicaSet === undefined) return;
    const uid = replicaSet.metadata.uid ?? "";
    const pods = this.pods.get(uid) ?? [];
    const siblingsOnNode = new Map<string, number>();
    for (const action of planReplicaSet({ replicaSet, pods, siblingsOnNode })) {
      if (action.type === "create") {
        const made = Array.from({ length: action.count }, () => this.#pod(uid));
        this.pods.set(uid, [...pods, ...made]);
      } else {
        this.pods.set(
          uid,
          pods.filter((pod) => !action.pods.includes(pod)),
        );
      }
    }
    const status = replicaSetStatus({
      replicaSet,
      pods,
      terminating: 0,
      failure: undefined,
      nowMs: this.nowMs,
    });
    this.replicaSets[index] = { ...replicaSet, status };
  }

  becomeReady(random: Random): void {
    const waiting = this.allPods.filter((pod) => pod.status?.conditions === undefined);
    const pod = waiting[randomInteger(random, Math.max(1, waiting.length))];
    if (pod === undefined) return;
    const lastTransitionTime = rfc3339(this.nowMs);
    pod.status = {
      phase: "Running",
      conditions: [{ type: "Ready", status: "True", lastTransitionTime }],
    };
  }

  step(random: Random): void {
    this.steps++;
    const choice = randomInteger(random, 10);
    if (choice < 3) this.look();
    else if (choice < 7) this.reconcile(randomInteger(random, this.replicaSets.length || 1));
    else this.becomeReady(random);
  }

  settle(): void {
    const random = new SeededRandom(1);
    for (let round = 0; round < 400; round++) {
      this.steps++;
      this.look();
      for (let index = 0; index < this.replicaSets.length; index++) this.reconcile(index);
      this.becomeReady(random);
    }
  }

  #template(image: string) {
    return {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "c", image }] },
    };
  }

  #pod(owner: string): Pod {
    const name = `pod-${++this.#serial}`;
    const reference = { apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid: owner };
    return {
      metadata: { name, uid: name, ownerReferences: [{ ...reference, controller: true }] },
      spec: { containers: [], nodeName: "n" },
      status: { phase: "Pending" },
    };
  }

  #apply(action: DeploymentAction): void {
    switch (action.type) {
      case "create-replica-set": {
        const uid = action.replicaSet.metadata.name ?? "";
        const creationTimestamp = rfc3339(this.nowMs);
        const metadata = { ...action.replicaSet.metadata, uid, generation: 1, creationTimestamp };
        this.replicaSets.push({ ...action.replicaSet, metadata });
        break;
      }
      case "scale":
        this.#edit(action.replicaSet, (replicaSet) => {
          if (replicaSet.spec !== undefined) replicaSet.spec.replicas = action.replicas;
          replicaSet.metadata.annotations = action.annotations;
          replicaSet.metadata.generation = (replicaSet.metadata.generation ?? 0) + 1;
        });
        break;
      case "update-replica-set":
        this.#edit(action.replicaSet, (replicaSet) => Object.assign(replicaSet, action.replicaSet));
        break;
      case "delete-replica-set":
        this.replicaSets = this.replicaSets.filter(
          ({ metadata }) => metadata.uid !== action.replicaSet.metadata.uid,
        );
        break;
      case "annotate":
        this.deployment.metadata.annotations = action.annotations;
        break;
      case "status":
        this.deployment = { ...this.deployment, status: action.status };
        break;
      case "look-again":
        break;
    }
  }

  #edit(target: ReplicaSet, edit: (replicaSet: ReplicaSet) => void): void {
    this.replicaSets = this.replicaSets.map((replicaSet) => {
      if (replicaSet.metadata.uid !== target.metadata.uid) return replicaSet;
      const copy = structuredClone(replicaSet);
      edit(copy);
      return copy;
    });
  }
}

const STEPS: readonly [IntOrString, IntOrString][] = [
  ["25%", "25%"],
  [1, 0],
  [0, 1],
  ["50%", 0],
  [0, "100%"],
  [3, 2],
];

describe("planDeployment", () => {
  test("planDeployment: whatever the order of events, a rolling update keeps its bounds", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new SeededRandom(seed);
      const [maxSurge, maxUnavailable] = STEPS[seed % STEPS.length] ?? [1, 1];
      const world = new World(1 + randomInteger(random, 12), maxSurge, maxUnavailable);
      world.settle();
      const bounds = rollingBounds(world.deployment);
      expect(world.readyCount).toBe(bounds.desired);
      for (let step = 0; step < 400; step++) {
        if (step % 97 === 0) world.rollOut(`v${randomInteger(random, 4)}`);
        world.step(random);
        const where = `seed ${seed} step ${step}`;
        const most = bounds.desired + bounds.maxSurge;
        expect([where, world.specTotal <= most]).toEqual([where, true]);
        expect([where, world.allPods.length <= most]).toEqual([where, true]);
        const least = bounds.desired - bounds.maxUnavailable;
        expect([where, world.readyCount >= least]).toEqual([where, true]);
      }
      world.settle();
      const image = world.deployment.spec?.template.spec?.containers[0]?.image;
      const running = world.replicaSets.filter(({ spec }) => (spec?.replicas ?? 0) > 0);
      expect(running.map(({ spec }) => spec?.template?.spec?.containers[0]?.image)).toEqual([
        image,
      ]);
      expect(world.deployment.status).toMatchObject({
        replicas: bounds.desired,
        updatedReplicas: bounds.desired,
        availableReplicas: bounds.desired,
      });
      expect(
        world.deployment.status?.conditions?.find(({ type }) => type === "Progressing"),
      ).toMatchObject({ status: "True", reason: "NewReplicaSetAvailable" });
    }
  });

  test("planDeployment: at rest nothing is written", () => {
    const world = new World(3, 1, 0);
    world.settle();
    expect(world.look()).toEqual([]);
  });

  test("planDeployment: Recreate has no new pod beside an old one", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new SeededRandom(seed);
      const world = new World(4, 1, 1);
      const { spec } = world.deployment;
      if (spec !== undefined) world.deployment.spec = { ...spec, strategy: { type: "Recreate" } };
      world.settle();
      world.rollOut("v9");
      for (let step = 0; step < 200; step++) {
        world.step(random);
        const owners = world.allPods.map(({ metadata }) => metadata.ownerReferences?.[0]?.uid);
        expect(new Set(owners).size).toBeLessThanOrEqual(1);
      }
      world.settle();
      expect(world.readyCount).toBe(4);
    }
  });

  test("planDeployment: rolling back takes the old ReplicaSet again", () => {
    const world = new World(2, 1, 0);
    world.settle();
    world.rollOut("v1");
    world.settle();
    world.rollOut("v0");
    world.settle();
    expect(world.replicaSets.length).toBe(2);
    expect(world.deployment.metadata.annotations).toEqual({
      "deployment.kubernetes.io/revision": "3",
    });
    expect(world.replicaSets[0]?.metadata.annotations).toMatchObject({
      "deployment.kubernetes.io/revision": "3",
      "deployment.kubernetes.io/revision-history": "1",
    });
  });

  test("planDeployment: keeps as many old ReplicaSets as the history limit says", () => {
    const world = new World(1, 1, 0);
    if (world.deployment.spec !== undefined) world.deployment.spec.revisionHistoryLimit = 2;
    for (let version = 0; version < 6; version++) {
      world.rollOut(`v${version}`);
      world.settle();
    }
    const images = world.replicaSets.map(({ spec }) => spec?.template?.spec?.containers[0]?.image);
    expect(images).toEqual(["v3", "v4", "v5"]);
  });
});
