import { describe, expect, test } from "bun:test";
import type {
  ConfigMap,
  Deployment,
  Endpoints,
  EndpointSlice,
  Node,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ResourceQuota,
  Service,
} from "../api/index.ts";
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  ENDPOINTS,
  NAMESPACES,
  NODES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  REPLICA_SETS,
  RESOURCE_QUOTAS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "../client/index.ts";
import { failure } from "../client/testing/fake-api.ts";
import { EMPTYING_DELAY_MS } from "./namespace/controller.ts";
import { ToyCluster } from "./testing/toy-cluster.ts";

const deployment = (replicas: number, image = "hello:1"): Deployment => ({
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "web" } },
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    progressDeadlineSeconds: 600,
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        containers: [{ name: "c", image, ports: [{ name: "http", containerPort: 8080 }] }],
        tolerations: ["not-ready", "unreachable"].map((name) => ({
          key: `node.kubernetes.io/${name}`,
          operator: "Exists",
          effect: "NoExecute",
          tolerationSeconds: 300,
        })),
      },
    },
  },
});

const service: Service = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    selector: { app: "web" },
    clusterIP: "127.43.0.9",
    ports: [{ name: "web", port: 80, targetPort: "http" }],
  },
};

describe("startControllers", () => {
  test("startControllers: a Deployment becomes pods, endpoints and status", async () => {
    const cluster = new ToyCluster();
    cluster.seed(SERVICES, service);
    cluster.seed(DEPLOYMENTS, deployment(3));
    await cluster.run(1000);
    const [replicaSet] = cluster.all<ReplicaSet>(REPLICA_SETS);
    expect(cluster.all<Pod>(PODS).length).toBe(3);
    expect(replicaSet?.metadata.annotations).toEqual({
      "deployment.kubernetes.io/desired-replicas": "3",
      "deployment.kubernetes.io/max-replicas": "4",
      "deployment.kubernetes.io/revision": "1",
    });
    const [stored] = cluster.all<Deployment>(DEPLOYMENTS);
    expect(stored?.status).toMatchObject({
      observedGeneration: 1,
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
    });
    expect(stored?.status?.conditions).toMatchObject([
      { type: "Available", status: "True", reason: "MinimumReplicasAvailable" },
      { type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" },
    ]);
    const [slice] = cluster.all<EndpointSlice>(ENDPOINT_SLICES);
    expect(slice?.ports).toEqual([{ name: "web", protocol: "TCP", port: 8080 }]);
    expect(slice?.endpoints?.map(({ conditions }) => conditions?.ready)).toEqual([
      true,
      true,
      true,
    ]);
    expect(cluster.all<Endpoints>(ENDPOINTS)[0]?.subsets?.[0]?.addresses?.length).toBe(3);
    const { name } = replicaSet?.metadata ?? {};
    expect(cluster.events).toContain(
      `ScalingReplicaSet: Scaled up replica set ${name} from 0 to 3`,
    );
    const [pod] = cluster.names(PODS);
    expect(cluster.events).toContain(`SuccessfulCreate: Created pod: ${pod}`);
    expect(cluster.events).toContain(`Scheduled: Successfully assigned default/${pod} to n1`);
    cluster.stop();
  });

  test("startControllers: makes exactly as many pods as wanted, whatever the delay", async () => {
    const cluster = new ToyCluster();
    const made: string[] = [];
    cluster.seed(DEPLOYMENTS, deployment(20));
    await cluster.run(3000);
    for (const request of cluster.api.requests) {
      if (request === "POST /api/v1/namespaces/default/pods") made.push(request);
    }
    expect(made.length).toBe(20);
    cluster.stop();
  });

  test("startControllers: its own pods count before they are heard of", async () => {
    const cluster = new ToyCluster();
    cluster.seed(DEPLOYMENTS, deployment(1));
    await cluster.run(500);
    const release = cluster.api.holdWatches(PODS);
    const replicaSets = () => cluster.all<ReplicaSet>(REPLICA_SETS);
    const resize = (replicas: number): void => {
      for (const stored of cluster.all<Deployment>(DEPLOYMENTS)) {
        cluster.api.change<Deployment>(DEPLOYMENTS, stored, ({ spec }) => {
          if (spec !== undefined) spec.replicas = replicas;
        });
      }
    };
    resize(4);
    await cluster.run(500);
    for (const stored of replicaSets()) {
      const labels = { ...stored.metadata.labels, touched: "yes" };
      cluster.api.change(REPLICA_SETS, stored, ({ metadata }) => void (metadata.labels = labels));
    }
    await cluster.run(500);
    expect(cluster.names(PODS).length).toBe(4);
    resize(2);
    await cluster.run(500);
    expect(cluster.names(PODS).length).toBe(2);
    release();
    await cluster.run(1000);
    expect(cluster.names(PODS).length).toBe(2);
    expect(replicaSets()[0]?.status).toMatchObject({ replicas: 2, readyReplicas: 2 });
    cluster.stop();
  });

  test("startControllers: a deleted pod of a node that is not there goes at once", async () => {
    const cluster = new ToyCluster();
    await cluster.run(500);
    const lost = { name: "lost", namespace: "default" };
    const spec = { containers: [{ name: "app", image: "hello:1" }], nodeName: "nowhere" };
    const stored = cluster.seed<Pod>(PODS, { metadata: lost, spec });
    await cluster.run(500);
    expect(cluster.names(PODS)).toEqual(["lost"]);
    cluster.api.change<Pod>(PODS, stored, ({ metadata }) => {
      metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    });
    await cluster.run(500);
    expect(cluster.names(PODS)).toEqual([]);
    cluster.stop();
  });

  test("startControllers: a new image rolls out, the old ReplicaSet stays", async () => {
    const cluster = new ToyCluster();
    const stored = cluster.seed(DEPLOYMENTS, deployment(2));
    await cluster.run(1000);
    cluster.api.change<Deployment>(DEPLOYMENTS, stored, ({ spec }) => {
      const container = spec?.template.spec?.containers[0];
      if (container !== undefined) container.image = "hello:2";
    });
    await cluster.run(3000);
    const images = cluster.all<Pod>(PODS).map(({ spec }) => spec?.containers[0]?.image);
    expect(images).toEqual(["hello:2", "hello:2"]);
    expect(cluster.all<ReplicaSet>(REPLICA_SETS).map(({ spec }) => spec?.replicas)).toEqual([0, 2]);
    cluster.stop();
  });

  test("startControllers: an update that never gets ready is told after its deadline", async () => {
    const cluster = new ToyCluster();
    cluster.agent = "never-ready";
    cluster.seed(DEPLOYMENTS, deployment(1));
    await cluster.run(700_000, 5000);
    const [stored] = cluster.all<Deployment>(DEPLOYMENTS);
    expect(stored?.status?.conditions).toMatchObject([
      { type: "Available", status: "False", reason: "MinimumReplicasUnavailable" },
      { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" },
    ]);
    cluster.stop();
  });

  test("startControllers: pods that cannot be made are told upwards", async () => {
    const cluster = new ToyCluster();
    cluster.api.fault = (request, target) =>
      request.method === "POST" && target.resource === "pods"
        ? failure(403, "Forbidden", "exceeded quota")
        : undefined;
    cluster.seed(DEPLOYMENTS, deployment(2));
    await cluster.run(2000);
    const [stored] = cluster.all<Deployment>(DEPLOYMENTS);
    const told = stored?.status?.conditions?.find(({ type }) => type === "ReplicaFailure");
    expect(told).toMatchObject({
      status: "True",
      reason: "FailedCreate",
      message: "exceeded quota",
    });
    expect(cluster.events).toContain("FailedCreate: Error creating: exceeded quota");
    cluster.api.fault = undefined;
    await cluster.run(5000);
    expect(cluster.all<Pod>(PODS).length).toBe(2);
    const after = cluster.all<Deployment>(DEPLOYMENTS)[0]?.status?.conditions;
    expect(after?.map(({ type }) => type)).toEqual(["Available", "Progressing"]);
    cluster.stop();
  });

  test("startControllers: what is deleted takes along what it owned", async () => {
    const cluster = new ToyCluster();
    cluster.seed(SERVICES, service);
    cluster.seed(DEPLOYMENTS, deployment(2));
    await cluster.run(1000);
    await cluster.client.resource(DEPLOYMENTS, "default").delete("web");
    await cluster.client.resource(SERVICES, "default").delete("web");
    await cluster.run(2000);
    for (const resource of [REPLICA_SETS, PODS, ENDPOINT_SLICES, ENDPOINTS]) {
      expect([resource.resource, cluster.names(resource)]).toEqual([resource.resource, []]);
    }
    cluster.stop();
  });

  test("startControllers: foreground deletion waits, orphaning spares", async () => {
    const cluster = new ToyCluster();
    cluster.seed(DEPLOYMENTS, deployment(2));
    await cluster.run(1000);
    const deployments = cluster.client.resource(DEPLOYMENTS, "default");
    await deployments.delete("web", { propagationPolicy: "Foreground" });
    cluster.agent = "silent";
    await cluster.run(1000);
    expect(cluster.names(DEPLOYMENTS)).toEqual(["web"]);
    cluster.agent = "ready";
    await cluster.run(3000);
    expect(cluster.names(DEPLOYMENTS)).toEqual([]);
    expect(cluster.names(PODS)).toEqual([]);

    cluster.seed(DEPLOYMENTS, deployment(2));
    await cluster.run(1000);
    await deployments.delete("web", { propagationPolicy: "Orphan" });
    await cluster.run(2000);
    expect(cluster.names(DEPLOYMENTS)).toEqual([]);
    expect(cluster.names(PODS).length).toBe(2);
    expect(cluster.all<ReplicaSet>(REPLICA_SETS)[0]?.metadata.ownerReferences ?? []).toEqual([]);
    cluster.seed(DEPLOYMENTS, deployment(2));
    await cluster.run(1000);
    expect(cluster.names(REPLICA_SETS).length).toBe(1);
    expect(cluster.names(PODS).length).toBe(2);
    cluster.stop();
  });

  test("startControllers: a namespace that goes takes its content and is told about", async () => {
    const cluster = new ToyCluster();
    cluster.seed(DEPLOYMENTS, deployment(2));
    cluster.seed(SERVICES, service);
    await cluster.run(1000);
    cluster.agent = "silent";
    await cluster.client.resource(NAMESPACES).delete("default");
    await cluster.run(EMPTYING_DELAY_MS - 100);
    // A client that deletes a namespace and its content by name still finds the content.
    expect(cluster.names(SERVICES)).toEqual(["web"]);
    await cluster.run(1000);
    expect(cluster.names(SERVICES)).toEqual([]);
    const [namespace] = cluster.all(NAMESPACES);
    const remaining = namespace?.status?.conditions?.find(
      ({ type }) => type === "NamespaceContentRemaining",
    );
    expect(remaining?.message).toBe("Some resources are remaining: pods. has 2 resource instances");
    cluster.agent = "ready";
    await cluster.run(10_000);
    expect(cluster.names(NAMESPACES)).toEqual([]);
    expect(cluster.names(PODS)).toEqual([]);
    cluster.stop();
  });

  test("startControllers: every namespace keeps account and certificate", async () => {
    const cluster = new ToyCluster({ rootCa: "PEM" });
    cluster.seed(NAMESPACES, { metadata: { name: "team" } });
    await cluster.run(100);
    const accounts = () =>
      cluster
        .all(SERVICE_ACCOUNTS)
        .map(({ metadata }) => metadata.namespace ?? "")
        .toSorted();
    expect(accounts()).toEqual(["default", "team"]);
    await cluster.client.resource(SERVICE_ACCOUNTS, "team").delete("default");
    const configMaps = cluster.client.resource(CONFIG_MAPS, "team");
    const config = await configMaps.get("kube-root-ca.crt");
    await configMaps.update({ ...config, data: { "ca.crt": "forged" } });
    await cluster.run(100);
    expect(accounts()).toEqual(["default", "team"]);
    const data = cluster.all<ConfigMap>(CONFIG_MAPS).map((configMap) => configMap.data?.["ca.crt"]);
    expect(data).toEqual(["PEM", "PEM"]);
    cluster.stop();
  });

  test("startControllers: a silent node loses its pods, then returns", async () => {
    const cluster = new ToyCluster({ nodes: ["n1", "n2"] });
    const old = { ...deployment(1) };
    cluster.seed(DEPLOYMENTS, old);
    await cluster.run(20_000);
    const [victim] = cluster.all<Pod>(PODS);
    const lost = victim?.spec?.nodeName ?? "";
    const node = () => cluster.all<Node>(NODES).find(({ metadata }) => metadata.name === lost);
    const doomed = () =>
      cluster.all<Pod>(PODS).filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
    cluster.lost.add(lost);
    await cluster.run(60_000, 1000);
    expect(node()?.status?.conditions?.[0]).toMatchObject({ type: "Ready", status: "Unknown" });
    expect(node()?.spec?.taints?.map(({ key, effect }) => `${key}:${effect}`)).toEqual([
      "node.kubernetes.io/unreachable:NoSchedule",
      "node.kubernetes.io/unreachable:NoExecute",
    ]);
    expect(cluster.all<Pod>(PODS)[0]?.status?.conditions?.at(-1)?.status).toBe("False");
    expect(cluster.events).toContain(`NodeNotReady: Node ${lost} status is now: NodeNotReady`);
    expect(doomed()).toEqual([]);
    await cluster.run(300_000, 1000);
    // Its node cannot say that it ended, so that it stays; the other one is there already.
    expect(doomed().map(({ metadata }) => metadata.uid)).toEqual([victim?.metadata.uid]);
    const replacement = cluster.all<Pod>(PODS).find(({ spec }) => spec?.nodeName !== lost);
    expect(replacement?.metadata.uid).not.toBe(victim?.metadata.uid);
    expect(replacement?.status?.phase).toBe("Running");
    await cluster.run(120_000, 1000);
    expect(doomed()).toHaveLength(1);
    cluster.lost.clear();
    await cluster.run(30_000);
    expect(node()?.spec?.taints ?? []).toEqual([]);
    expect(cluster.names(PODS)).toEqual([replacement?.metadata.name ?? ""]);
    cluster.stop();
  });

  test("startControllers: a lost node that is deleted takes its pods with it", async () => {
    const cluster = new ToyCluster({ nodes: ["n1", "n2"] });
    cluster.seed(DEPLOYMENTS, deployment(1));
    await cluster.run(20_000);
    const lost = cluster.all<Pod>(PODS)[0]?.spec?.nodeName ?? "";
    cluster.lost.add(lost);
    await cluster.run(360_000, 1000);
    expect(cluster.all<Pod>(PODS)).toHaveLength(2);
    await cluster.client.resource(NODES).delete(lost);
    await cluster.run(30_000, 1000);
    expect(cluster.all<Pod>(PODS).map(({ spec }) => spec?.nodeName)).toEqual([
      lost === "n1" ? "n2" : "n1",
    ]);
    cluster.stop();
  });

  test("startControllers: when no node can be heard, no pod is evicted", async () => {
    const cluster = new ToyCluster({ nodes: ["n1", "n2"] });
    cluster.seed(DEPLOYMENTS, deployment(2));
    await cluster.run(20_000);
    cluster.agent = "silent";
    await cluster.run(600_000, 1000);
    const taints = cluster.all<Node>(NODES).flatMap(({ spec }) => spec?.taints ?? []);
    expect(taints.map(({ effect }) => effect)).toEqual(["NoSchedule", "NoSchedule"]);
    expect(cluster.all<Pod>(PODS).filter(({ metadata }) => metadata.deletionTimestamp)).toEqual([]);
    cluster.agent = "ready";
    cluster.lost.add("n1");
    await cluster.run(20_000);
    expect(cluster.all<Node>(NODES).map(({ spec }) => spec?.taints?.length ?? 0)).toEqual([2, 0]);
    cluster.stop();
  });

  test("startControllers: pods of a node that was deleted are given up after a while", async () => {
    const cluster = new ToyCluster({ nodes: ["n1", "n2"] });
    cluster.seed(DEPLOYMENTS, deployment(4));
    await cluster.run(2000);
    const lost = cluster.all<Node>(NODES).find(({ metadata }) => metadata.name === "n1");
    if (lost !== undefined) cluster.api.remove(NODES, lost);
    await cluster.run(90_000, 500);
    const nodes = cluster.all<Pod>(PODS).map(({ spec }) => spec?.nodeName);
    expect(nodes).toEqual(["n2", "n2", "n2", "n2"]);
    cluster.stop();
  });

  test("startControllers: quotas and disruption budgets tell what there is", async () => {
    const cluster = new ToyCluster();
    const hard = { pods: "5", "count/deployments.apps": "2", services: "1" };
    const metadata = { name: "x", namespace: "default" };
    cluster.seed(RESOURCE_QUOTAS, { metadata, spec: { hard } });
    const selector = { matchLabels: { app: "web" } };
    cluster.seed(POD_DISRUPTION_BUDGETS, { metadata, spec: { maxUnavailable: 1, selector } });
    cluster.seed(DEPLOYMENTS, deployment(3));
    await cluster.run(5000);
    expect(cluster.all<ResourceQuota>(RESOURCE_QUOTAS)[0]?.status).toEqual({
      hard,
      used: { "count/deployments.apps": "1", pods: "3", services: "0" },
    });
    const budget = () => cluster.all<PodDisruptionBudget>(POD_DISRUPTION_BUDGETS)[0]?.status;
    const numbers = { expectedPods: 3, desiredHealthy: 2, currentHealthy: 3 };
    expect(budget()).toMatchObject({ ...numbers, disruptionsAllowed: 1 });
    const [stored] = cluster.all<Deployment>(DEPLOYMENTS);
    if (stored === undefined) throw new Error("no Deployment");
    cluster.api.change<Deployment>(DEPLOYMENTS, stored, ({ spec }) => {
      if (spec !== undefined) spec.replicas = 1;
    });
    await cluster.run(5000);
    expect(cluster.all<ResourceQuota>(RESOURCE_QUOTAS)[0]?.status?.used?.["pods"]).toBe("1");
    expect(budget()).toMatchObject({ expectedPods: 1, desiredHealthy: 0, disruptionsAllowed: 1 });
    cluster.stop();
  });

  test("startControllers: at rest they ask for the nodes' leases and nothing else", async () => {
    const cluster = new ToyCluster();
    cluster.seed(DEPLOYMENTS, deployment(2));
    cluster.seed(SERVICES, service);
    await cluster.run(2000);
    cluster.agent = "silent";
    const before = cluster.api.requests.length;
    await cluster.run(30_000, 1000);
    const asked = new Set(cluster.api.requests.slice(before));
    expect([...asked]).toEqual([
      "GET /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
    ]);
    expect(cluster.api.requests.length - before).toBeLessThanOrEqual(6);
    cluster.stop();
  });
});
