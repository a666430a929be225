import { expect, test } from "bun:test";
import { drainMicrotasks } from "../lib/index.ts";
import { REQUEST_DEADLINE_MS } from "./api-server.ts";
import { MAX_BODY_BYTES } from "./request-body.ts";
import { apiFixture, MAPS, podBody, PODS, USER_TOKEN } from "./testing/api-fixture.ts";

const NOBODY = { authorization: "Bearer nobody" };
const NO_CREDENTIALS = { authorization: "" };
const BOB = { authorization: `Bearer ${USER_TOKEN}` };

test("createApiServer: answers health and version to everybody", async () => {
  let up = false;
  const { send } = await apiFixture({ readiness: { node: () => up } });
  expect((await send("GET", "/livez", undefined, NOBODY)).text).toBe("ok");
  const failing = await send("GET", "/readyz?verbose", undefined, NOBODY);
  expect(failing.status).toBe(500);
  expect(failing.text).toBe("[+]ping ok\n[-]node failed: reason withheld\nreadyz check failed\n");
  up = true;
  expect((await send("GET", "/readyz", undefined, NOBODY)).text).toBe("ok");
  const verbose = await send("GET", "/healthz?verbose", undefined, NOBODY);
  expect(verbose.text).toBe("[+]ping ok\nhealthz check passed\n");
  const version = await send("GET", "/version", undefined, NO_CREDENTIALS);
  expect(version.json).toMatchObject({ major: "1", minor: "36", gitVersion: "v1.36.0" });
});

test("createApiServer: answers each health check alone, and leaves some out", async () => {
  const { send } = await apiFixture({ readiness: { node: () => false } });
  const answer = async (path: string): Promise<string> => {
    const { status, text } = await send("GET", path, undefined, NOBODY);
    return `${status} ${text}`;
  };
  expect(await answer("/livez/ping")).toBe("200 ok");
  expect(await answer("/healthz/ping")).toBe("200 ok");
  expect(await answer("/readyz/node")).toBe("500 internal server error: reason withheld\n");
  expect(await answer("/readyz/toString")).toBe("404 404 page not found\n");
  expect(await answer("/livez/node")).toBe("404 404 page not found\n");
  expect(await answer("/readyz?exclude=node")).toBe("200 ok");
  expect(await answer("/readyz?exclude=node&exclude=x&verbose")).toBe(
    "200 [+]ping ok\n[+]node excluded: ok\n" +
      'warn: some health checks cannot be excluded: no matches for "x"\nreadyz check passed\n',
  );
});

test("createApiServer: refuses everything else to those it does not know", async () => {
  const { send } = await apiFixture();
  for (const path of ["/api", "/apis", "/openapi/v2", PODS, "/nothing", "/"]) {
    const refused = await send("GET", path, undefined, NOBODY);
    expect(refused.status).toBe(401);
    const stranger = await send("GET", path, undefined, NO_CREDENTIALS);
    expect(stranger.status).toBe(403);
    expect(stranger.json["message"]).toContain('User "system:anonymous" cannot ');
    expect(refused.json).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "Unauthorized",
      reason: "Unauthorized",
      code: 401,
    });
  }
});

test("createApiServer: forbids in Kubernetes' words", async () => {
  const { send } = await apiFixture();
  const message = async (method: string, path: string): Promise<string> => {
    const refused = await send(method, path, undefined, BOB);
    expect(refused.status).toBe(403);
    return String(refused.json["message"]);
  };
  expect(await message("GET", PODS)).toBe(
    'pods is forbidden: User "bob" cannot list resource "pods" in API group "" ' +
      'in the namespace "default"',
  );
  expect(await message("GET", `${PODS}?watch=true`)).toContain("cannot watch resource");
  expect(await message("DELETE", "/apis/apps/v1/namespaces/x/deployments/d")).toBe(
    'deployments.apps "d" is forbidden: User "bob" cannot delete resource "deployments" ' +
      'in API group "apps" in the namespace "x"',
  );
  expect(await message("GET", "/api/v1/nodes")).toBe(
    'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" ' +
      "at the cluster scope",
  );
  expect(await message("GET", `${PODS}/p/log`)).toContain('cannot get resource "pods/log"');
  expect(await message("GET", "/metrics")).toBe('forbidden: User "bob" cannot get path "/metrics"');
});

test("createApiServer: knows unknown paths, resources and methods", async () => {
  const { send } = await apiFixture();
  for (const path of ["/nothing", "/apis/example.com/v1/things", "/api/v2/pods"]) {
    const answer = await send("GET", path);
    expect([answer.status, answer.text]).toEqual([404, "404 page not found\n"]);
  }
  const unserved = [
    "/api/v1/things",
    "/api/v1/pods/p",
    "/api/v1/namespaces/x/nodes/n",
    `${PODS}/p/x`,
  ];
  for (const path of unserved) {
    const answer = await send("GET", path);
    expect([answer.status, String(answer.json["message"])]).toEqual([
      404,
      "the server could not find the requested resource",
    ]);
  }
  const wrong: [string, string][] = [
    ["POST", "/api/v1/pods"],
    ["PUT", PODS],
    ["POST", `${PODS}/p`],
    ["DELETE", "/api/v1/namespaces"],
    ["GET", `${PODS}/p/eviction`],
    ["POST", "/api"],
  ];
  for (const [method, path] of wrong) {
    const answer = await send(method, path);
    expect([answer.status, String(answer.json["reason"])]).toEqual([405, "MethodNotAllowed"]);
  }
});

test("createApiServer: reads a path in one way only", async () => {
  const { send } = await apiFixture();
  for (const path of [
    "/api/v1//pods",
    "/api/v1/namespaces/a%2Fb/pods",
    "/api/%zz",
    "/api/v1/%2e%2e/x",
  ]) {
    expect((await send("GET", path)).status).toBe(404);
  }
});

test("createApiServer: bounds the body, announced or not", async () => {
  const { send, app } = await apiFixture();
  const data = { metadata: { name: "big" }, data: { x: "y".repeat(MAX_BODY_BYTES) } };
  const announced = await send("POST", MAPS, data);
  expect([announced.status, String(announced.json["reason"])]).toEqual([
    413,
    "RequestEntityTooLarge",
  ]);
  const chunk = new Uint8Array(1024 * 1024);
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent++;
      controller.enqueue(chunk);
    },
  });
  const headers = { authorization: "Bearer admin-token", "content-type": "application/json" };
  const streamed = await app.request(MAPS, { method: "POST", headers, body });
  expect(streamed.status).toBe(413);
  expect(sent).toBeLessThan(10);
});

test("createApiServer: negotiates what it reads and writes", async () => {
  const { send } = await apiFixture();
  const text = { "content-type": "text/csv" };
  const unread = await send("POST", MAPS, "a,b", text);
  expect([unread.status, String(unread.json["reason"])]).toEqual([415, "UnsupportedMediaType"]);
  const unwritten = await send("GET", MAPS, undefined, { accept: "text/csv" });
  expect([unwritten.status, String(unwritten.json["reason"])]).toEqual([406, "NotAcceptable"]);
  const yaml = { "content-type": "application/yaml", accept: "application/yaml" };
  const source = 'kind: ConfigMap\nmetadata:\n  name: why\ndata:\n  answer: "yes"\n';
  const created = await send("POST", MAPS, source, yaml);
  expect(created.status).toBe(201);
  expect(created.headers.get("content-type")).toBe("application/yaml");
  expect(created.text).toContain("apiVersion: v1\n");
  const both = "application/vnd.kubernetes.protobuf,application/json";
  expect((await send("GET", `${MAPS}/why`, undefined, { accept: both })).status).toBe(200);
  const broken = await send("POST", MAPS, "{", { "content-type": "application/json" });
  expect([broken.status, String(broken.json["reason"])]).toEqual([400, "BadRequest"]);
});

test("createApiServer: indents for people", async () => {
  const { send } = await apiFixture();
  await send("POST", MAPS, { metadata: { name: "a" } });
  expect((await send("GET", `${MAPS}/a`)).text).not.toContain("\n");
  expect((await send("GET", `${MAPS}/a?pretty=true`)).text).toContain('\n  "kind": "ConfigMap"');
  const curl = await send("GET", `${MAPS}/a`, undefined, { "user-agent": "curl/8.0" });
  expect(curl.text).toContain("\n");
});

test("createApiServer: bounds the requests in flight, and tells when to come back", async () => {
  let release: () => void = () => undefined;
  const { send, store } = await apiFixture({ maxRequestsInFlight: 1 });
  store.beforeWrite = () =>
    new Promise<void>((resolve) => {
      release = resolve;
    });
  const first = send("POST", MAPS, { metadata: { name: "slow" } });
  await drainMicrotasks();
  const second = await send("GET", MAPS);
  expect([second.status, second.headers.get("retry-after")]).toEqual([429, "1"]);
  release();
  expect((await first).status).toBe(201);
  expect((await send("GET", MAPS)).status).toBe(200);
});

test("createApiServer: ends a request at its deadline", async () => {
  const { send, store, clock } = await apiFixture();
  store.beforeWrite = () => new Promise<void>(() => undefined);
  const stuck = send("POST", MAPS, { metadata: { name: "stuck" } });
  await clock.advanceAsync(REQUEST_DEADLINE_MS + 1);
  const answer = await stuck;
  expect([answer.status, String(answer.json["reason"])]).toEqual([504, "Timeout"]);
});

test("createApiServer: answers 500 to its own failures and goes on", async () => {
  const { send, store } = await apiFixture();
  store.beforeWrite = () => {
    throw new Error("the disk is on fire");
  };
  const failed = await send("POST", MAPS, { metadata: { name: "a" } });
  expect(failed.status).toBe(500);
  expect(String(failed.json["message"])).toBe("Internal error occurred: the disk is on fire");
  store.beforeWrite = undefined;
  expect((await send("POST", MAPS, { metadata: { name: "a" } })).status).toBe(201);
});

test("createApiServer: gives every answer an audit id, or the client's own", async () => {
  const { send } = await apiFixture();
  expect((await send("GET", MAPS)).headers.get("audit-id")).toMatch(/^[0-9a-f-]{36}$/);
  const own = await send("GET", MAPS, undefined, { "audit-id": "mine-1" });
  expect(own.headers.get("audit-id")).toBe("mine-1");
});

test("createApiServer: refuses what it does not do yet in clear words", async () => {
  const { send } = await apiFixture();
  await send("POST", PODS, podBody("p"));
  for (const name of ["exec", "attach", "portforward"]) {
    const answer = await send("POST", `${PODS}/p/${name}`);
    expect(answer.status).toBe(501);
    expect(answer.json["message"]).toBe(`pods/${name} is not supported by this server yet`);
  }
});
