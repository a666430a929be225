import { expect, test } from "bun:test";
import type { KubeObject } from "../apimachinery/index.ts";
import {
  ADMIN_TOKEN,
  apiFixture,
  DEPLOYMENTS,
  deploymentBody,
  MAPS,
  podBody,
  PODS,
  watchLines,
} from "./testing/api-fixture.ts";
import { HEAD_WITHIN_MS } from "./watch-stream.ts";

const MERGE = { "content-type": "application/merge-patch+json" };
const STRATEGIC = { "content-type": "application/strategic-merge-patch+json" };
const JSON_PATCH = { "content-type": "application/json-patch+json" };
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
const PARTIAL = {
  accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
};

test("createObject: 201 with the object, and 409 for the second", async () => {
  const { send } = await apiFixture();
  const created = await send("POST", MAPS, { metadata: { name: "a" }, data: { x: "1" } });
  expect(created.status).toBe(201);
  expect(created.json).toMatchObject({
    kind: "ConfigMap",
    apiVersion: "v1",
    data: { x: "1" },
  });
  const again = await send("POST", MAPS, { metadata: { name: "a" } });
  expect([again.status, String(again.json["message"])]).toEqual([
    409,
    'configmaps "a" already exists',
  ]);
});

test("createObject: validates fields as the client asks", async () => {
  const { send } = await apiFixture();
  const body = { metadata: { name: "a" }, dta: {} };
  const strict = await send("POST", `${MAPS}?fieldValidation=Strict`, body);
  expect([strict.status, String(strict.json["message"])]).toEqual([
    400,
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: ' +
      'strict decoding error: unknown field "dta"',
  ]);
  const twice = '{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}';
  const duplicate = await send("POST", `${MAPS}?fieldValidation=Strict`, twice);
  expect(String(duplicate.json["message"])).toContain('duplicate field "data.x"');
  const warned = await send("POST", MAPS, body);
  expect(warned.headers.get("warning")).toBe('299 - "unknown field \\"dta\\""');
  const ignored = await send("POST", `${MAPS}?fieldValidation=Ignore`, {
    ...body,
    metadata: { name: "b" },
  });
  expect(ignored.headers.get("warning")).toBeNull();
  const wrong = await send("POST", `${MAPS}?fieldValidation=Maybe`, body);
  expect([wrong.status, String(wrong.json["reason"])]).toEqual([422, "Invalid"]);
  const manager = await send("POST", `${MAPS}?fieldManager=${"m".repeat(129)}`, body);
  expect([manager.status, String(manager.json["message"])]).toEqual([
    422,
    'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: ' +
      "may not be more than 128 bytes",
  ]);
});

test("createObject: warns of what is hardly meant, as changes of the spec do", async () => {
  const { send } = await apiFixture();
  const ports = [{ containerPort: 80 }, { containerPort: 80 }];
  const body = deploymentBody("d");
  Object.assign(body.spec.template.spec, { containers: [{ name: "a", image: "a:1", ports }] });
  const at = "spec.template.spec.containers[0]";
  const warning = `299 - "${at}.ports[1]: duplicate port definition with ${at}.ports[0]"`;
  const created = await send("POST", DEPLOYMENTS, body);
  expect([created.status, created.headers.get("warning")]).toEqual([201, warning]);
  const patch = async (change: object): Promise<string | null> =>
    (await send("PATCH", `${DEPLOYMENTS}/d`, change, MERGE)).headers.get("warning");
  expect(await patch({ metadata: { labels: { x: "y" } } })).toBeNull();
  expect(await patch({ spec: { replicas: 5 } })).toBe(warning);
  const replaced = await send("PUT", `${DEPLOYMENTS}/d`, body);
  expect([replaced.status, replaced.headers.get("warning")]).toEqual([200, warning]);
  const again = await send("PUT", `${DEPLOYMENTS}/d`, body);
  expect([again.status, again.headers.get("warning")]).toEqual([200, null]);
});

test("createObject: refuses other kinds, namespaces and types of fields", async () => {
  const { send } = await apiFixture();
  const message = async (body: unknown): Promise<string> =>
    String((await send("POST", MAPS, body)).json["message"]);
  expect(await message({ kind: "Secret", apiVersion: "v1", metadata: { name: "a" } })).toBe(
    'Secret in version "v1" cannot be handled as a ConfigMap: ' +
      "converting (v1.Secret) to (v1.ConfigMap): unknown conversion",
  );
  expect(await message({ metadata: { name: "a", namespace: "other" } })).toBe(
    "the namespace of the provided object does not match the namespace sent on the request",
  );
  expect(await message({ metadata: { name: "a" }, data: { x: 1 } })).toContain(
    "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
  );
  expect(await message([])).toContain("cannot unmarshal array");
  expect(await message({ metadata: {} })).toBe(
    'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
  );
});

test("replaceObject: wants the name of the path, and the version it replaces", async () => {
  const { send } = await apiFixture();
  await send("POST", MAPS, { metadata: { name: "a" } });
  const misnamed = await send("PUT", `${MAPS}/a`, { metadata: { name: "b" } });
  expect([misnamed.status, String(misnamed.json["message"])]).toEqual([
    400,
    "the name of the object (b) does not match the name on the URL (a)",
  ]);
  const stale = { metadata: { name: "a", resourceVersion: "1" } };
  expect((await send("PUT", `${MAPS}/a`, stale)).status).toBe(409);
  const missing = await send("PUT", `${MAPS}/nope`, { metadata: { name: "nope" } });
  expect(missing.status).toBe(404);
  expect((await send("PUT", `${MAPS}/a`, { metadata: { name: "a" } })).status).toBe(200);
});

test("patchObject: applies every kind of patch, and nothing else", async () => {
  const { send } = await apiFixture();
  await send("POST", DEPLOYMENTS, deploymentBody("d"));
  const merge = await send("PATCH", `${DEPLOYMENTS}/d`, { spec: { replicas: 3 } }, MERGE);
  expect(merge.json["spec"]).toMatchObject({ replicas: 3 });
  const container = { name: "app", image: "app:2" };
  const strategic = await send(
    "PATCH",
    `${DEPLOYMENTS}/d`,
    { spec: { template: { spec: { containers: [container, { name: "side", image: "s" }] } } } },
    STRATEGIC,
  );
  const images = (strategic.json as unknown as ReturnType<typeof deploymentBody>).spec.template.spec
    .containers;
  expect(images.map(({ name, image }) => `${name}=${image}`).sort()).toEqual([
    "app=app:2",
    "side=s",
  ]);
  const operations = [{ op: "replace", path: "/spec/replicas", value: 7 }];
  const json = await send("PATCH", `${DEPLOYMENTS}/d`, operations, JSON_PATCH);
  expect(json.json["spec"]).toMatchObject({ replicas: 7 });
  const cbor = await send("PATCH", `${DEPLOYMENTS}/d`, "{}", {
    "content-type": "application/apply-patch+cbor",
  });
  expect([cbor.status, String(cbor.json["message"])]).toEqual([
    415,
    "the body of the request was in an unknown format - accepted media types include: " +
      "application/json-patch+json, application/merge-patch+json, " +
      "application/strategic-merge-patch+json, application/apply-patch+yaml",
  ]);
  const wrong = await send("PATCH", `${DEPLOYMENTS}/d`, { spec: { replicas: "x" } }, MERGE);
  expect(wrong.status).toBe(422);
  expect((await send("PATCH", `${DEPLOYMENTS}/nope`, {}, MERGE)).status).toBe(404);
});

test("patchObject: cannot move an object to another name or namespace", async () => {
  const { send } = await apiFixture();
  await send("POST", MAPS, { metadata: { name: "a" } });
  const named = await send("PATCH", `${MAPS}/a`, { metadata: { name: "b" } }, MERGE);
  expect([named.status, String(named.json["message"])]).toEqual([
    400,
    "the name of the object (b) does not match the name on the URL (a)",
  ]);
  const moved = await send("PATCH", `${MAPS}/a`, { metadata: { namespace: "other" } }, MERGE);
  expect([moved.status, String(moved.json["message"])]).toEqual([
    400,
    "the namespace of the object (other) does not match the namespace on the request (default)",
  ]);
});

test("patchObject: cannot make an object one of another kind or version", async () => {
  const { send } = await apiFixture();
  await send("POST", MAPS, { metadata: { name: "a" } });
  const answer = async (body: unknown, headers: HeadersInit): Promise<string> => {
    const { status, json } = await send("PATCH", `${MAPS}/a`, body, headers);
    return `${status} ${String(json["message"])}`;
  };
  expect(await answer({ kind: "Secret" }, MERGE)).toBe(
    '422  "" is invalid: patch: Invalid value: "{\\"kind\\":\\"Secret\\"}": ' +
      "converting (v1.Secret) to (v1.ConfigMap): unknown conversion",
  );
  const replace = [{ op: "replace", path: "/apiVersion", value: "v2" }];
  expect(await answer(replace, JSON_PATCH)).toEndWith(
    'no kind "ConfigMap" is registered for version "v2"',
  );
  expect(await answer({ apiVersion: "a/b/c" }, MERGE)).toEndWith(
    "unexpected GroupVersion string: a/b/c",
  );
  expect(await answer({ kind: 7 }, MERGE)).toStartWith("422");
  expect(await answer({ kind: null, apiVersion: "v1" }, MERGE)).toStartWith("200");
  const strategic = await send("PATCH", `${MAPS}/a`, { kind: "Secret" }, STRATEGIC);
  expect([strategic.status, String(strategic.json["kind"])]).toEqual([200, "ConfigMap"]);
  const put = { kind: "Secret", apiVersion: "v1", metadata: { name: "a" } };
  expect((await send("PUT", `${MAPS}/a`, put)).json).toMatchObject({
    code: 400,
    message:
      'Secret in version "v1" cannot be handled as a ConfigMap: ' +
      "converting (v1.Secret) to (v1.ConfigMap): unknown conversion",
  });
});

test("deleteObject: answers a Status, or the object where it lives on", async () => {
  const { send } = await apiFixture();
  const map = await send("POST", MAPS, { metadata: { name: "a" } });
  const { uid } = map.json["metadata"] as { uid: string };
  const gone = await send("DELETE", `${MAPS}/a`);
  expect(gone.json).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name: "a", kind: "configmaps", uid },
  });
  await send("POST", PODS, podBody("p"));
  expect((await send("DELETE", `${PODS}/p`)).json["kind"]).toBe("Pod");
  const policy = await send("DELETE", `${MAPS}/a?propagationPolicy=Never`);
  expect(policy.status).toBe(422);
  await send("POST", MAPS, { metadata: { name: "b" } });
  const rehearsal = await send("DELETE", `${MAPS}/b`, { kind: "DeleteOptions", dryRun: ["All"] });
  expect(rehearsal.status).toBe(200);
  expect((await send("GET", `${MAPS}/b`)).status).toBe(200);
  const held = { kind: "DeleteOptions", apiVersion: "v1", preconditions: { uid: "other" } };
  expect((await send("DELETE", `${MAPS}/b`, held)).status).toBe(409);
});

test("listObjects: answers lists, tables and metadata alone", async () => {
  const { send } = await apiFixture();
  await send("POST", MAPS, { metadata: { name: "a" }, data: { x: "1" } });
  const list = await send("GET", MAPS);
  expect(list.json).toMatchObject({
    kind: "ConfigMapList",
    apiVersion: "v1",
    items: [{ metadata: { name: "a" }, data: { x: "1" } }],
  });
  // The list says once what its items are.
  expect(Object.keys((list.json["items"] as object[])[0] ?? {})).toEqual(["metadata", "data"]);
  const table = await send("GET", MAPS, undefined, TABLE);
  expect(table.json).toMatchObject({
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    rows: [{ cells: ["a", 1, "0s"], object: { kind: "PartialObjectMetadata" } }],
  });
  const bare = await send("GET", `${MAPS}?includeObject=None`, undefined, TABLE);
  expect(Object.keys((bare.json["rows"] as object[])[0] ?? {})).toEqual(["cells"]);
  const partial = await send("GET", MAPS, undefined, PARTIAL);
  expect(partial.json).toMatchObject({ kind: "PartialObjectMetadataList" });
  expect(partial.text).not.toContain('"data"');
});

test("watchObjects: streams events as JSON lines, as tables too", async () => {
  const { send, app } = await apiFixture();
  await send("POST", MAPS, { metadata: { name: "a" } });
  await send("POST", MAPS, { metadata: { name: "b" } });
  const lines = await watchLines(app, `${MAPS}?watch=1`, 2);
  expect(lines).toMatchObject([
    { type: "ADDED", object: { kind: "ConfigMap", metadata: { name: "a" } } },
    { type: "ADDED", object: { kind: "ConfigMap", metadata: { name: "b" } } },
  ]);
  const tables = await watchLines(app, `${MAPS}?watch=true`, 2, TABLE);
  const columns = tables.map(
    (line) => (line["object"] as { columnDefinitions: unknown[] }).columnDefinitions.length,
  );
  expect(columns).toEqual([3, 0]);
});

test("watchObjects: starts with the first event, or after a moment with a blank", async () => {
  const { app, clock, send } = await apiFixture();
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const chunks = async (count: number): Promise<string[]> => {
    const response = await app.request(`${MAPS}?watch=1`, { headers });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const read: string[] = [];
    while (read.length < count) {
      const { value } = await reader.read();
      read.push(new TextDecoder().decode(value).slice(0, 15));
    }
    await reader.cancel();
    return read;
  };
  const idle = chunks(2);
  await clock.advanceAsync(HEAD_WITHIN_MS);
  await send("POST", MAPS, { metadata: { name: "a" } });
  expect(await idle).toEqual([" ", '{"type":"ADDED"']);
  expect(await chunks(1)).toEqual(['{"type":"ADDED"']);
});

test("watchObjects: serves the deprecated paths of watches", async () => {
  const { send, app } = await apiFixture();
  for (const name of ["a", "b", "c"]) await send("POST", MAPS, { metadata: { name } });
  await send("POST", DEPLOYMENTS, deploymentBody("d"));
  const first = async (path: string): Promise<string> => {
    const [line] = await watchLines(app, path, 1);
    const object = (line ?? {})["object"] as KubeObject | undefined;
    return object?.metadata.name ?? "";
  };
  expect(await first("/api/v1/watch/configmaps")).toBe("a");
  expect(await first("/api/v1/watch/namespaces/default/configmaps/b")).toBe("b");
  expect(await first("/apis/apps/v1/watch/deployments?limit=1")).toBe("d");
  expect(await first("/api/v1/watch/namespaces/kube-system")).toBe("kube-system");
  expect((await send("DELETE", "/api/v1/watch/namespaces/default/configmaps/a")).status).toBe(405);
  expect((await send("GET", "/api/v1/watch/configmaps/a")).status).toBe(404);
  expect((await send("GET", "/api/v1/watch/namespaces/default/pods/p/log")).status).toBe(405);
});

test("watchObjects: marks the end of the initial events", async () => {
  const { app } = await apiFixture();
  const query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const [bookmark] = await watchLines(app, `${MAPS}?watch=1&${query}`, 1);
  expect(bookmark).toMatchObject({
    type: "BOOKMARK",
    object: {
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: { annotations: { "k8s.io/initial-events-end": "true" } },
    },
  });
});

test("watchObjects: ends at its timeout, and tells errors as events", async () => {
  const { app, clock } = await apiFixture();
  const ended = watchLines(app, `${MAPS}?watch=1&timeoutSeconds=5`, 1);
  await clock.advanceAsync(5_000);
  expect(await ended).toEqual([]);
  const early = watchLines(app, `${MAPS}?watch=1&resourceVersion=999`, 1);
  await clock.advanceAsync(6_000, 100);
  const [error] = await early;
  expect(error).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 504 } });
});

test("listObjects: a list sends no initial events", async () => {
  const { send } = await apiFixture();
  const refused = await send("GET", `${MAPS}?sendInitialEvents=true`);
  expect([refused.status, refused.json["message"]]).toEqual([
    422,
    'ListOptions.meta.k8s.io "" is invalid: ' +
      "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
  ]);
});
