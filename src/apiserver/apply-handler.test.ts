import { expect, test } from "bun:test";
import { findResource } from "../api/index.ts";
import type { ManagedFieldsEntry } from "../apimachinery/index.ts";
import { withOrigin } from "./request-origin.ts";
import {
  ADMIN_TOKEN,
  apiFixture,
  DEPLOYMENTS,
  deploymentBody,
  MAPS,
} from "./testing/api-fixture.ts";
import type { ApiFixture, Reply } from "./testing/api-fixture.ts";

const APPLY = { "content-type": "application/apply-patch+yaml" };
const MERGE = { "content-type": "application/merge-patch+json" };

type Meta = { managedFields?: ManagedFieldsEntry[]; annotations?: Record<string, string> };

const metaOf = (reply: Reply): Meta => reply.json["metadata"] as Meta;
const ownersOf = (reply: Reply): string[] =>
  (metaOf(reply).managedFields ?? []).map(
    ({ operation, manager, subresource }) =>
      `${operation} ${manager}${subresource === undefined ? "" : `/${subresource}`}`,
  );

function map(name: string, data: Record<string, unknown>): string {
  return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });
}

function apply(api: ApiFixture, name: string, manager: string, body: string): Promise<Reply> {
  return api.send("PATCH", `${MAPS}/${name}?fieldManager=${manager}`, body, APPLY);
}

test("applyObject: creates what is not there and answers 201", async () => {
  const api = await apiFixture();
  const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: 'yes'}\n";
  const created = await apply(api, "a", "me", yaml);
  expect([created.status, created.json["data"]]).toEqual([201, { x: "yes" }]);
  expect(metaOf(created).managedFields).toEqual([
    {
      manager: "me",
      operation: "Apply",
      apiVersion: "v1",
      time: "2026-01-01T00:00:00Z",
      fieldsType: "FieldsV1",
      fieldsV1: { "f:data": { "f:x": {} } },
    },
  ]);
  const again = await apply(api, "a", "me", yaml);
  expect([again.status, again.text]).toEqual([200, created.text]);
});

test("applyObject: refuses to take what others own, in Kubernetes' words", async () => {
  const api = await apiFixture();
  await api.send("POST", MAPS, map("a", { x: "1", y: "1" }), {
    "user-agent": "my-tool/1.2 (linux)",
  });
  const refused = await apply(api, "a", "me", map("a", { x: "2", y: "2" }));
  expect([refused.status, refused.json["reason"]]).toEqual([409, "Conflict"]);
  expect(refused.json["message"]).toBe(
    'Apply failed with 2 conflicts: conflicts with "my-tool" using v1:\n- .data.x\n- .data.y',
  );
  const message = 'conflict with "my-tool" using v1';
  expect(refused.json["details"]).toEqual({
    causes: [
      { reason: "FieldManagerConflict", message, field: ".data.x" },
      { reason: "FieldManagerConflict", message, field: ".data.y" },
    ],
  });
  const body = map("a", { x: "2", y: "2" });
  const forced = await api.send("PATCH", `${MAPS}/a?fieldManager=me&force=true`, body, APPLY);
  expect([forced.status, ownersOf(forced)]).toEqual([200, ["Apply me", "Update my-tool"]]);
  const less = await apply(api, "a", "me", map("a", { x: "2" }));
  expect(less.json["data"]).toEqual({ x: "2" });
});

test("applyObject: says what is wrong with a configuration", async () => {
  const api = await apiFixture();
  await apply(api, "a", "me", map("a", { x: "1" }));
  const typed = { apiVersion: "v1", kind: "ConfigMap" };
  const named = { ...typed, metadata: { name: "a" } };
  const cases: [unknown, number, string][] = [
    ["[]", 400, "error decoding YAML: the configuration to apply is not an object"],
    ["a: [", 400, "error decoding YAML: Flow"],
    [{ ...typed, metadata: { name: "b" } }, 400, "the name of the object (b) does not match"],
    [{ ...named, apiVersion: "v2" }, 400, "Incorrect version specified in apply patch."],
    [{ ...typed, metadata: { name: "a", managedFields: [] } }, 400, "metadata.managedFields must"],
    [
      { ...named, foo: 1 },
      400,
      "failed to create typed patch object (default/a; /v1, Kind=ConfigMap): " +
        ".foo: field not declared in schema",
    ],
    [{ ...named, data: { x: 1 } }, 400, "failed to create typed patch object"],
    [{ ...typed, metadata: { name: "a", resourceVersion: "1" } }, 409, "Operation cannot be"],
  ];
  for (const [body, status, message] of cases) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const reply = await apply(api, "a", "me", text);
    expect([text, reply.status, String(reply.json["message"]).slice(0, message.length)]).toEqual([
      text,
      status,
      message,
    ]);
  }
  const anonymous = await api.send("PATCH", `${MAPS}/a`, map("a", {}), APPLY);
  expect([anonymous.status, anonymous.json["message"]]).toEqual([
    422,
    'PatchOptions.meta.k8s.io "" is invalid: ' +
      "fieldManager: Required value: is required for apply patch",
  ]);
  const forced = await api.send("PATCH", `${MAPS}/a?force=true`, {}, MERGE);
  expect(forced.status).toBe(422);
  const twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: a, x: b}\n";
  const warned = await apply(api, "a", "me", twice);
  expect([warned.status, warned.headers.get("warning")]).toEqual([
    200,
    '299 - "yaml: line 4: key \\"x\\" already set in map"',
  ]);
  const strict = await api.send(
    "PATCH",
    `${MAPS}/a?fieldManager=me&fieldValidation=Strict`,
    twice,
    APPLY,
  );
  expect(strict.status).toBe(400);
});

test("applyObject: needs the right to create for what is not there", async () => {
  const rights = { decide: (_user: unknown, { verb }: { verb: string }) => verb !== "create" };
  const api = await apiFixture({
    authorizer: {
      decide: (user, attributes) => ({ allowed: rights.decide(user, attributes), reason: "" }),
    },
  });
  const refused = await apply(api, "a", "me", map("a", {}));
  expect([refused.status, String(refused.json["message"])]).toEqual([
    403,
    'configmaps "a" is forbidden: User "admin" cannot create resource "configmaps" ' +
      'in API group "" in the namespace "default"',
  ]);
});

test("applyObject: stores nothing in a dry run", async () => {
  const api = await apiFixture();
  const path = `${MAPS}/a?fieldManager=me&dryRun=All`;
  expect((await api.send("PATCH", path, map("a", { x: "1" }), APPLY)).status).toBe(201);
  expect((await api.send("GET", `${MAPS}/a`)).status).toBe(404);
});

test("applyObject: reaches status and scale under their own names", async () => {
  const api = await apiFixture();
  await api.send("POST", `${DEPLOYMENTS}?fieldManager=creator`, deploymentBody("d"));
  const type = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" } };
  const status = { ...type, spec: { replicas: 9 }, status: { replicas: 1 } };
  const path = `${DEPLOYMENTS}/d/status?fieldManager=me`;
  const applied = await api.send("PATCH", path, JSON.stringify(status), APPLY);
  expect([applied.status, ownersOf(applied)]).toEqual([200, ["Apply me/status", "Update creator"]]);
  expect(applied.json).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 1 } });
  const kind = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name: "d" } };
  const scale = JSON.stringify({ ...kind, spec: { replicas: 5 } });
  const refused = await api.send("PATCH", `${DEPLOYMENTS}/d/scale?fieldManager=me`, scale, APPLY);
  expect([refused.status, refused.json["message"]]).toEqual([
    409,
    'Apply failed with 1 conflict: conflict with "creator" using apps/v1: .spec.replicas',
  ]);
  const forced = `${DEPLOYMENTS}/d/scale?fieldManager=me&force=true`;
  expect((await api.send("PATCH", forced, scale, APPLY)).json).toMatchObject({
    kind: "Scale",
    spec: { replicas: 5 },
  });
  const after = await api.send("GET", `${DEPLOYMENTS}/d`);
  expect(ownersOf(after)).toEqual(["Apply me/scale", "Apply me/status", "Update creator"]);
});

test("applyObject: takes over what kubectl applied from the client's side", async () => {
  const api = await apiFixture();
  const lastApplied = JSON.stringify({ ...(JSON.parse(map("a", { x: "1", y: "1" })) as object) });
  const annotations = { "kubectl.kubernetes.io/last-applied-configuration": lastApplied };
  const body = { metadata: { name: "a", annotations }, data: { x: "1", y: "1" } };
  await api.send("POST", `${MAPS}?fieldManager=kubectl-client-side-apply`, body);
  const other = await apply(api, "a", "other", map("a", { x: "2" }));
  expect(other.status).toBe(409);
  const taken = await apply(api, "a", "kubectl", map("a", { x: "2" }));
  expect([taken.status, taken.json["data"]]).toEqual([200, { x: "2", y: "1" }]);
  const said = metaOf(taken).annotations?.["kubectl.kubernetes.io/last-applied-configuration"];
  expect(JSON.parse(said ?? "")).toMatchObject({ data: { x: "2" } });
});

test("ownersOfUpdate: writes own what they change, and can say who owns what", async () => {
  const api = await apiFixture();
  await api.send("POST", `${MAPS}?fieldManager=creator`, map("a", { x: "1", y: "1" }));
  api.clock.advance(5000);
  const patch = { data: { x: "2" } };
  const patched = await api.send("PATCH", `${MAPS}/a?fieldManager=patcher`, patch, MERGE);
  expect(ownersOf(patched)).toEqual(["Update creator", "Update patcher"]);
  api.clock.advance(5000);
  const again = await api.send("PATCH", `${MAPS}/a?fieldManager=patcher`, patch, MERGE);
  expect(again.text).toBe(patched.text);
  const reset = { metadata: { managedFields: [{}] } };
  const nobody = await api.send("PATCH", `${MAPS}/a`, reset, MERGE);
  expect([nobody.status, ownersOf(nobody)]).toEqual([200, []]);
  const replaced = await api.send("PUT", `${MAPS}/a`, map("a", { x: "3" }));
  expect(ownersOf(replaced)).toEqual([]);
  const entry = { manager: "x".repeat(129), operation: "Update", apiVersion: "v1" };
  const managedFields = [{ ...entry, fieldsType: "FieldsV1", fieldsV1: { "f:data": {} } }];
  const long = await api.send("PATCH", `${MAPS}/a`, { metadata: { managedFields } }, MERGE);
  expect([long.status, String(long.json["message"])]).toEqual([
    422,
    'ConfigMap "a" is invalid: metadata.managedFields[0].manager: ' +
      "Too long: may not be more than 128 bytes",
  ]);
});

test("ownCreated: what the cluster's own parts create has no owners", async () => {
  const { app, registry } = await apiFixture();
  const user = { name: "system:kube-controller-manager", groups: ["system:masters"] };
  const request = new Request(`http://localhost${MAPS}`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
    body: map("a", { x: "1" }),
  });
  expect((await app.fetch(request, withOrigin({ user }))).status).toBe(201);
  const maps = findResource("", "v1", "configmaps");
  if (maps === undefined) throw new Error("configmaps are served");
  const { object } = await registry.resource(maps).get("default", "a");
  expect(object.metadata.managedFields).toBeUndefined();
});

test("applyObject: custom resources are owned by the lists and maps of their schema", async () => {
  const api = await apiFixture();
  const hosts = {
    type: "array",
    items: { type: "object", properties: { name: { type: "string" }, w: { type: "integer" } } },
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
  };
  (hosts.items as Record<string, unknown>)["required"] = ["name"];
  const spec = { type: "object", properties: { hosts } };
  const openAPIV3Schema = { type: "object", properties: { spec } };
  const names = { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" };
  const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema } }];
  const definition = {
    metadata: { name: "things.example.com" },
    spec: { group: "example.com", scope: "Namespaced", names, versions },
  };
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  expect((await api.send("POST", definitions, definition)).status).toBe(201);
  const conditions = [{ type: "Established", status: "True", reason: "Free", message: "" }];
  const status = { acceptedNames: names, conditions };
  await api.send("PATCH", `${definitions}/things.example.com/status`, { status }, MERGE);
  const send = (manager: string, items: unknown): Promise<Reply> => {
    const type = { apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "t" } };
    const path = `/apis/example.com/v1/namespaces/default/things/t?fieldManager=${manager}`;
    return api.send("PATCH", path, JSON.stringify({ ...type, spec: { hosts: items } }), APPLY);
  };
  expect((await send("a", [{ name: "x", w: 1 }])).status).toBe(201);
  expect((await send("b", [{ name: "y" }])).json["spec"]).toEqual({
    hosts: [{ name: "x", w: 1 }, { name: "y" }],
  });
  expect((await send("b", [{ name: "x", w: 2 }])).json["message"]).toBe(
    'Apply failed with 1 conflict: conflict with "a": .spec.hosts[name="x"].w',
  );
});
