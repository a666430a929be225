import { expect, test } from "bun:test";
import { apiFixture, DEPLOYMENTS, deploymentBody, podBody, PODS } from "../testing/api-fixture.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { NODE_ANSWER_MS } from "./pod-log.ts";

const MERGE = { "content-type": "application/merge-patch+json" };

test("scale: reads and sets the size of a workload", async () => {
  const { send } = await apiFixture();
  await send("POST", DEPLOYMENTS, deploymentBody("d"));
  const read = await send("GET", `${DEPLOYMENTS}/d/scale`);
  expect(read.json).toMatchObject({
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    spec: { replicas: 2 },
    status: { replicas: 0, selector: "app=d" },
  });
  const patched = await send("PATCH", `${DEPLOYMENTS}/d/scale`, { spec: { replicas: 5 } }, MERGE);
  expect(patched.json["spec"]).toEqual({ replicas: 5 });
  const negative = await send("PATCH", `${DEPLOYMENTS}/d/scale`, { spec: { replicas: -1 } }, MERGE);
  expect([negative.status, String(negative.json["message"])]).toEqual([
    422,
    'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: ' +
      "must be greater than or equal to 0",
  ]);
  const stale = { ...read.json, spec: { replicas: 9 } };
  expect((await send("PUT", `${DEPLOYMENTS}/d/scale`, stale)).status).toBe(409);
});

test("status: changes the status alone", async () => {
  const { send } = await apiFixture();
  await send("POST", DEPLOYMENTS, deploymentBody("d"));
  const patch = { spec: { replicas: 9 }, status: { replicas: 2, observedGeneration: 1 } };
  const { json } = await send("PATCH", `${DEPLOYMENTS}/d/status`, patch, MERGE);
  expect(json["spec"]).toMatchObject({ replicas: 2 });
  expect(json["status"]).toEqual({ replicas: 2, observedGeneration: 1 });
});

test("bindPod: puts a pod on a node once", async () => {
  const { send } = await apiFixture();
  await send("POST", PODS, podBody("p"));
  const binding = { metadata: { name: "p" }, target: { kind: "Node", name: "node-1" } };
  const bound = await send("POST", `${PODS}/p/binding`, binding);
  expect([bound.status, String(bound.json["status"])]).toEqual([201, "Success"]);
  const pod = await send("GET", `${PODS}/p`);
  expect(pod.json["spec"]).toMatchObject({ nodeName: "node-1" });
  expect(pod.json["status"]).toMatchObject({ conditions: [{ type: "PodScheduled" }] });
  expect(pod.json["metadata"]).toMatchObject({ generation: 1 });
  const again = await send("POST", "/api/v1/namespaces/default/bindings", binding);
  expect([again.status, String(again.json["message"])]).toEqual([
    409,
    'Operation cannot be fulfilled on pods/binding "p": ' +
      'pod p is already assigned to node "node-1"',
  ]);
  const nowhere = await send("POST", `${PODS}/p/binding`, { metadata: {}, target: {} });
  expect(nowhere.status).toBe(422);
});

test("evictPod: obeys the disruption budget", async () => {
  const { send } = await apiFixture();
  await send("POST", PODS, {
    ...podBody("p", { nodeName: "node-1" }),
    metadata: { name: "p", labels: { app: "x" } },
  });
  const ready = (value: string) => ({
    status: { phase: "Running", conditions: [{ type: "Ready", status: value }] },
  });
  await send("PATCH", `${PODS}/p/status`, ready("True"), MERGE);
  const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
  const selector = { matchLabels: { app: "x" } };
  await send("POST", budgets, { metadata: { name: "b" }, spec: { minAvailable: 1, selector } });
  const eviction = { kind: "Eviction", apiVersion: "policy/v1", metadata: { name: "p" } };
  const refused = await send("POST", `${PODS}/p/eviction`, eviction);
  expect([refused.status, String(refused.json["message"])]).toEqual([
    429,
    "Cannot evict pod as it would violate the pod's disruption budget.",
  ]);
  expect(refused.json["details"]).toMatchObject({
    causes: [
      {
        reason: "DisruptionBudget",
        message: "The disruption budget b is still being processed by the server.",
      },
    ],
  });
  const status = {
    observedGeneration: 1,
    disruptionsAllowed: 1,
    currentHealthy: 2,
    desiredHealthy: 1,
    expectedPods: 2,
  };
  await send("PATCH", `${budgets}/b/status`, { status }, MERGE);
  const budget = async () => (await send("GET", `${budgets}/b`)).json["status"];
  // A rehearsal draws nothing; nor does a pod that is not ready, when enough others are.
  const dryRun = { ...eviction, deleteOptions: { dryRun: ["All"] } };
  expect((await send("POST", `${PODS}/p/eviction`, dryRun)).status).toBe(201);
  expect(await budget()).toMatchObject({ disruptionsAllowed: 1 });
  expect((await send("POST", `${PODS}/p/eviction`, eviction)).status).toBe(201);
  expect(await budget()).toMatchObject({ disruptionsAllowed: 0 });
  await send("POST", PODS, {
    ...podBody("q", { nodeName: "node-1" }),
    metadata: { name: "q", labels: { app: "x" } },
  });
  await send("PATCH", `${PODS}/q/status`, ready("False"), MERGE);
  const other = { ...eviction, metadata: { name: "q" } };
  expect((await send("POST", `${PODS}/q/eviction`, other)).status).toBe(201);
});

test("podLog: streams what the node agent says, errors too", async () => {
  const asked: string[] = [];
  const { send } = await apiFixture({
    node: (request) => {
      asked.push(new URL(request.url).pathname + new URL(request.url).search);
      return Promise.resolve(
        request.url.includes("previous=true")
          ? new Response('previous terminated container "app" in pod "p" not found', {
              status: 400,
            })
          : new Response("one\ntwo\n"),
      );
    },
  });
  await send("POST", PODS, podBody("p", { nodeName: "node-1" }));
  const log = await send("GET", `${PODS}/p/log?tailLines=5&follow=true`, undefined, {
    accept: "application/json, */*",
  });
  expect([log.status, log.text]).toEqual([200, "one\ntwo\n"]);
  expect(asked).toEqual(["/containerLogs/default/p/app?follow=true&tailLines=5"]);
  const previous = await send("GET", `${PODS}/p/log?previous=true`);
  expect([previous.status, String(previous.json["message"])]).toEqual([
    400,
    'previous terminated container "app" in pod "p" not found',
  ]);
});

test("podLog: says in words that a node cannot be reached, and in time", async () => {
  let signal: AbortSignal | undefined;
  const { send, clock } = await apiFixture({
    node: (request) => {
      if (request.url.includes("previous")) {
        return Promise.reject(new Error("192.0.2.7:10250: no answer within 2000 ms"));
      }
      ({ signal } = request);
      return new Promise((_resolve, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason as Error));
      });
    },
  });
  await send("POST", PODS, podBody("p", { nodeName: "node-1" }));
  await send("POST", PODS, podBody("q", { nodeName: "node-2" }));
  const outcome = async (path: string): Promise<unknown[]> => {
    const { status, json } = await send("GET", `${PODS}/${path}`);
    return [status, json["reason"], json["message"]];
  };
  const cannot = (node: string, why: string): unknown[] => [
    500,
    "InternalError",
    `Internal error occurred: the node agent of node ${node} cannot be reached${why}`,
  ];
  expect(await outcome("p/log?previous=true")).toEqual(
    cannot("node-1", ": 192.0.2.7:10250: no answer within 2000 ms"),
  );
  expect(await outcome("q/log")).toEqual(cannot("node-2", ""));
  const silent = outcome("p/log");
  await eventually(() => signal);
  clock.advance(NODE_ANSWER_MS);
  expect(await silent).toEqual(cannot("node-1", `: no answer within ${NODE_ANSWER_MS} ms`));
});

test("podLog: wants to know which container", async () => {
  const { send } = await apiFixture();
  const containers = [
    { name: "a", image: "x" },
    { name: "b", image: "x" },
  ];
  await send("POST", PODS, podBody("p", { containers }));
  const message = async (query: string): Promise<string> =>
    String((await send("GET", `${PODS}/p/log${query}`)).json["message"]);
  expect(await message("")).toBe(
    "a container name must be specified for pod p, choose one of: [a b]",
  );
  expect(await message("?container=c")).toBe("container c is not valid for pod p");
  expect(await message("?container=a&tailLines=-1")).toContain(
    "must be greater than or equal to 0",
  );
  expect((await send("GET", `${PODS}/p/log?container=a`)).text).toBe("");
  expect((await send("GET", `${PODS}/nope/log`)).status).toBe(404);
});

test("scale: fields that a Scale does not have are refused or warned about", async () => {
  const { send } = await apiFixture();
  await send("POST", DEPLOYMENTS, deploymentBody("d"));
  const merge = { "content-type": "application/merge-patch+json" };
  const body = { metadata: { name: "d" }, spec: { replicas: 1 }, foo: 1 };
  for (const method of ["PUT", "PATCH"]) {
    const headers = method === "PATCH" ? merge : {};
    const path = `${DEPLOYMENTS}/d/scale`;
    const strict = await send(method, `${path}?fieldValidation=Strict`, body, headers);
    expect([strict.status, strict.json["message"]]).toEqual([
      400,
      'Scale in version "v1" cannot be handled as a Scale: ' +
        'strict decoding error: unknown field "foo"',
    ]);
    const warned = await send(method, path, body, headers);
    expect(warned.headers.get("warning")).toBe('299 - "unknown field \\"foo\\""');
  }
});

test("evictPod: a dry run evicts nobody, wherever it is asked for", async () => {
  const { send } = await apiFixture();
  await send("POST", PODS, podBody("p"));
  const eviction = { metadata: { name: "p" } };
  const inBody = { ...eviction, deleteOptions: { dryRun: ["All"] } };
  expect((await send("POST", `${PODS}/p/eviction?dryRun=All`, eviction)).status).toBe(201);
  expect((await send("POST", `${PODS}/p/eviction`, inBody)).status).toBe(201);
  expect((await send("GET", `${PODS}/p`)).status).toBe(200);
});

test("assertEphemeralContainersStay: they come and stay as they came", async () => {
  const { send } = await apiFixture();
  await send("POST", PODS, podBody("p"));
  const path = `${PODS}/p/ephemeralcontainers`;
  const strategic = { "content-type": "application/strategic-merge-patch+json" };
  const change = async (ephemeralContainers: unknown): Promise<unknown[]> => {
    const { status, json } = await send(
      "PATCH",
      path,
      { spec: { ephemeralContainers } },
      strategic,
    );
    return [status, json["message"]];
  };
  expect(await change([{ name: "debug", image: "x" }])).toEqual([200, undefined]);
  const refused = (what: string): unknown[] => [
    422,
    'Pod "p" is invalid: spec.ephemeralContainers: Forbidden: ' +
      `existing ephemeral containers "debug" may not be ${what}`,
  ];
  expect(await change([{ name: "debug", image: "y" }])).toEqual(refused("changed"));
  expect(await change(null)).toEqual(refused("removed"));
});
