import { expect, test } from "bun:test";
import { tokenAuthenticator } from "../authenticator.ts";
import { ADMIN_TOKEN, apiFixture, type ApiFixture } from "../testing/api-fixture.ts";
import { nodeUserName, NODES } from "../user.ts";
import { STATS_DEADLINE_MS, STATS_TTL_MS } from "./node-stats.ts";

const METRICS = "/apis/metrics.k8s.io/v1beta1";
const JSON_PATCH = { "content-type": "application/json-patch+json" };
const TIME = "2026-01-01T00:00:00Z";
const TABLE = { accept: "application/json;as=Table;g=meta.k8s.io;v=v1" };

function usage(nanoCores: number, bytes: number) {
  const cpu = { time: TIME, usageNanoCores: nanoCores, windowMs: 10_200 };
  return { cpu, memory: { workingSetBytes: bytes } };
}

/** A node that tells of one pod, and counts how often it was asked. */
async function withNode(): Promise<ApiFixture & { asked: string[]; silent: { now: boolean } }> {
  const asked: string[] = [];
  const silent = { now: false };
  let uid = "";
  const api = await apiFixture({
    async node(request) {
      if (silent.now) return new Promise<Response>(() => undefined);
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      if (pathname === "/stats/traffic") {
        const traffic = { ip: "127.42.0.7", inFlight: 2, requestsPerSecond: 1.5, idleMs: 0 };
        return Response.json([traffic]);
      }
      const containers = [{ name: "web", ...usage(250_000_000, 5 * 1024 * 1024) }];
      const pods = [{ podRef: { name: "p", namespace: "default", uid }, containers }];
      return Response.json({ node: usage(1_500_000_000, 1024), pods });
    },
  });
  await api.send("POST", "/api/v1/nodes", { metadata: { name: "node-1" } });
  const conditions = [{ type: "Ready", status: "True" }];
  const merge = { "content-type": "application/merge-patch+json" };
  await api.send("PATCH", "/api/v1/nodes/node-1/status", { status: { conditions } }, merge);
  const spec = { nodeName: "node-1", containers: [{ name: "web", image: "web" }] };
  const pods = "/api/v1/namespaces/default/pods";
  const made = await api.send("POST", pods, {
    metadata: { name: "p", labels: { app: "web" } },
    spec,
  });
  uid = String((made.json["metadata"] as Record<string, unknown>)["uid"]);
  await api.send("PATCH", `${pods}/p/status`, { status: { podIP: "127.42.0.7" } }, merge);
  return { ...api, asked, silent };
}

test("answerMetrics: nodes and pods, one and all, by label and as a table", async () => {
  const { send } = await withNode();
  const pods = await send("GET", `${METRICS}/pods`);
  expect(pods.json).toMatchObject({
    kind: "PodMetricsList",
    items: [
      {
        metadata: { name: "p", namespace: "default", labels: { app: "web" } },
        timestamp: TIME,
        window: "10.2s",
        containers: [{ name: "web", usage: { cpu: "250000000n", memory: "5120Ki" } }],
      },
    ],
  });
  const [item] = pods.json["items"] as { metadata: { annotations: Record<string, string> } }[];
  expect(item?.metadata.annotations).toMatchObject({
    "kubun.dev/requests-per-second": "1.500",
    "kubun.dev/requests-in-flight": "2",
  });
  const one = await send("GET", `${METRICS}/namespaces/default/pods/p`);
  expect(one.json).toMatchObject({ kind: "PodMetrics", metadata: { name: "p" } });
  const none = await send("GET", `${METRICS}/namespaces/default/pods?labelSelector=app%3Dother`);
  expect(none.json["items"]).toEqual([]);
  const missing = await send("GET", `${METRICS}/namespaces/default/pods/nobody`);
  expect([missing.status, missing.json["message"]]).toEqual([
    404,
    'pods.metrics.k8s.io "nobody" not found',
  ]);
  const node = await send("GET", `${METRICS}/nodes/node-1`);
  expect(node.json).toMatchObject({ kind: "NodeMetrics", usage: { cpu: "1500000000n" } });
  const table = await send("GET", `${METRICS}/namespaces/default/pods`, undefined, TABLE);
  expect(table.json["rows"]).toMatchObject([{ cells: ["p", "250m", "5Mi", "10.2s"] }]);
  expect((await send("DELETE", `${METRICS}/nodes/node-1`)).status).toBe(405);
});

test("NodeStats: an answer is shared for a while; a silent node has no metrics", async () => {
  const { send, clock, asked, silent } = await withNode();
  await Promise.all([send("GET", `${METRICS}/nodes`), send("GET", `${METRICS}/pods`)]);
  expect(asked.sort()).toEqual(["/stats/summary", "/stats/traffic"]);
  silent.now = true;
  clock.advance(STATS_TTL_MS);
  const asking = send("GET", `${METRICS}/nodes`);
  await clock.advanceAsync(STATS_DEADLINE_MS, 1);
  expect((await asking).json["items"]).toEqual([]);
});

test("patchScale: a node's key wakes what sleeps and does nothing else", async () => {
  const users = new Map([
    [ADMIN_TOKEN, { name: "admin", groups: ["system:masters"] }],
    ["node", { name: nodeUserName("pi"), groups: [NODES] }],
  ]);
  const { send } = await apiFixture({ authenticator: tokenAuthenticator(users) });
  const deployments = "/apis/apps/v1/namespaces/default/deployments";
  const make = async (name: string, replicas: number, annotations: Record<string, string>) => {
    const labels = { app: name };
    const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "i" }] } };
    const spec = { replicas, selector: { matchLabels: labels }, template };
    await send("POST", deployments, { metadata: { name, annotations }, spec });
  };
  const sleeps = { "kubun.dev/scale-to-zero": "30s" };
  await make("sleeping", 0, sleeps);
  await make("other", 0, {});
  await make("awake", 3, sleeps);
  const asNode = { authorization: "Bearer node", ...JSON_PATCH };
  const wake = async (name: string, from: number, to: number): Promise<number> => {
    const patch = [
      { op: "test", path: "/spec/replicas", value: from },
      { op: "replace", path: "/spec/replicas", value: to },
    ];
    return (await send("PATCH", `${deployments}/${name}/scale`, patch, asNode)).status;
  };
  expect(await wake("sleeping", 0, 2)).toBe(403);
  expect(await wake("sleeping", 0, 1)).toBe(200);
  expect(await wake("sleeping", 1, 0)).toBe(403);
  expect(await wake("other", 0, 1)).toBe(403);
  expect(await wake("awake", 0, 1)).toBe(422);
  expect(await wake("awake", 3, 1)).toBe(403);
  const patch = [{ op: "replace", path: "/spec/replicas", value: 1 }];
  expect((await send("PATCH", `${deployments}/sleeping`, patch, asNode)).status).toBe(403);
});
