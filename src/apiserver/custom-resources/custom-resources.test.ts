import { describe, expect, test } from "bun:test";
import { apiFixture, type ApiFixture, watchLines } from "../testing/api-fixture.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TABS = "/apis/stable.example.com/v1/namespaces/default/crontabs";
const MERGE = { "content-type": "application/merge-patch+json" };
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };

const SCHEMA = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      required: ["cronSpec"],
      properties: {
        cronSpec: { type: "string", pattern: "^[0-9*/ ]+$", description: "When it runs." },
        image: { type: "string", default: "busybox" },
        replicas: { type: "integer", minimum: 1, maximum: 10 },
      },
    },
    status: {
      type: "object",
      properties: { replicas: { type: "integer" }, labelSelector: { type: "string" } },
    },
  },
};

const NAMES = {
  plural: "crontabs",
  singular: "crontab",
  kind: "CronTab",
  listKind: "CronTabList",
  shortNames: ["ct"],
  categories: ["all"],
};

const VERSION = {
  name: "v1",
  served: true,
  storage: true,
  schema: { openAPIV3Schema: SCHEMA },
  subresources: {
    status: {},
    scale: {
      specReplicasPath: ".spec.replicas",
      statusReplicasPath: ".status.replicas",
      labelSelectorPath: ".status.labelSelector",
    },
  },
  additionalPrinterColumns: [
    { name: "Spec", type: "string", jsonPath: ".spec.cronSpec" },
    { name: "Replicas", type: "integer", jsonPath: ".spec.replicas", priority: 1 },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
  selectableFields: [{ jsonPath: ".spec.image" }],
};

type Fields = Readonly<Record<string, unknown>>;

function crd(version: Fields = {}, spec: Fields = {}) {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "crontabs.stable.example.com" },
    spec: {
      group: "stable.example.com",
      scope: "Namespaced",
      names: NAMES,
      versions: [{ ...VERSION, ...version }],
      ...spec,
    },
  };
}

/** What the controller writes when names are free. */
const ACCEPTED = {
  status: {
    acceptedNames: NAMES,
    conditions: [
      { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "" },
      { type: "Established", status: "True", reason: "InitialNamesAccepted", message: "" },
    ],
  },
};

async function withCrontabs(body: unknown = crd()): Promise<ApiFixture> {
  const fixture = await apiFixture();
  expect(await fixture.send("POST", CRDS, body)).toMatchObject({ status: 201 });
  const path = `${CRDS}/crontabs.stable.example.com/status`;
  expect(await fixture.send("PATCH", path, ACCEPTED, MERGE)).toMatchObject({ status: 200 });
  return fixture;
}

function tab(spec: unknown = { cronSpec: "* * * * *", replicas: 2 }, name = "one") {
  return {
    apiVersion: "stable.example.com/v1",
    kind: "CronTab",
    metadata: { name, labels: { a: "b" } },
    spec,
  };
}

describe("custom resources", () => {
  test("custom resources: a kind is served once its definition is established", async () => {
    const { send } = await apiFixture();
    const created = await send("POST", CRDS, crd());
    expect(created.json).toMatchObject({
      metadata: { generation: 1 },
      spec: { conversion: { strategy: "None" } },
      status: { storedVersions: ["v1"] },
    });
    expect((await send("GET", TABS)).status).toBe(404);
    expect((await send("GET", "/apis/stable.example.com")).status).toBe(404);
    await send("PATCH", `${CRDS}/crontabs.stable.example.com/status`, ACCEPTED, MERGE);
    expect((await send("GET", TABS)).json).toMatchObject({ kind: "CronTabList", items: [] });
    const { json } = await send("GET", "/apis/stable.example.com/v1");
    expect(json["resources"]).toMatchObject([
      { name: "crontabs", singularName: "crontab", shortNames: ["ct"], categories: ["all"] },
      { name: "crontabs/status", kind: "CronTab" },
      { name: "crontabs/scale", group: "autoscaling", version: "v1", kind: "Scale" },
    ]);
    const groups = (await send("GET", "/apis")).json["groups"] as { name: string }[];
    expect(groups.at(-1)?.name).toBe("stable.example.com");
  });

  test("custom resources: objects are written and read like any other", async () => {
    const { send, app } = await withCrontabs();
    const created = await send("POST", TABS, tab());
    expect([created.status, created.json]).toMatchObject([
      201,
      { metadata: { generation: 1 }, spec: { image: "busybox" } },
    ]);
    expect(created.json["status"]).toBeUndefined();
    const patched = await send("PATCH", `${TABS}/one`, { spec: { replicas: 3 } }, MERGE);
    expect(patched.json).toMatchObject({ metadata: { generation: 2 }, spec: { replicas: 3 } });
    const strategic = { "content-type": "application/strategic-merge-patch+json" };
    expect((await send("PATCH", `${TABS}/one`, {}, strategic)).json).toMatchObject({
      code: 415,
      reason: "UnsupportedMediaType",
    });
    const selected = await send("GET", `${TABS}?fieldSelector=spec.image%3Dbusybox`);
    expect(selected.json["items"]).toHaveLength(1);
    const unknown = await send("GET", `${TABS}?fieldSelector=spec.cronSpec%3Dx`);
    expect(unknown.json["reason"]).toBe("BadRequest");
    const [event] = await watchLines(app, `${TABS}?watch=1&resourceVersion=0`, 1);
    expect(event).toMatchObject({ type: "ADDED", object: { kind: "CronTab" } });
    expect((await send("DELETE", `${TABS}?labelSelector=a%3Db`)).status).toBe(200);
    expect((await send("GET", `${TABS}/one`)).json["reason"]).toBe("NotFound");
  });

  test("custom resources: status and scale are endpoints of their own", async () => {
    const { send } = await withCrontabs();
    await send("POST", TABS, tab());
    const status = { status: { replicas: 2, labelSelector: "a=b" }, spec: { replicas: 9 } };
    const written = await send("PATCH", `${TABS}/one/status`, status, MERGE);
    expect(written.json).toMatchObject({
      metadata: { generation: 1 },
      spec: { replicas: 2 },
      status: { replicas: 2 },
    });
    expect((await send("GET", `${TABS}/one/scale`)).json).toMatchObject({
      kind: "Scale",
      spec: { replicas: 2 },
      status: { replicas: 2, selector: "a=b" },
    });
    await send("PATCH", `${TABS}/one/scale`, { spec: { replicas: 5 } }, MERGE);
    expect((await send("GET", `${TABS}/one`)).json).toMatchObject({
      metadata: { generation: 2 },
      spec: { replicas: 5 },
      status: { replicas: 2 },
    });
  });

  test("custom resources: tables have the columns of the definition", async () => {
    const { send } = await withCrontabs();
    await send("POST", TABS, tab());
    const table = (await send("GET", TABS, undefined, TABLE)).json;
    const columns = table["columnDefinitions"] as { name: string; type: string }[];
    expect(columns.map(({ name, type }) => [name, type])).toEqual([
      ["Name", "string"],
      ["Spec", "string"],
      ["Replicas", "integer"],
      ["Age", "date"],
    ]);
    expect(table["rows"]).toMatchObject([{ cells: ["one", "* * * * *", 2, "0s"] }]);
  });

  test("custom resources: what the schema does not allow is invalid, by path", async () => {
    const { send } = await withCrontabs();
    const wrong = await send("POST", TABS, tab({ cronSpec: "x", replicas: 11 }));
    expect(wrong.json).toMatchObject({
      code: 422,
      reason: "Invalid",
      details: { group: "stable.example.com", kind: "CronTab", name: "one" },
    });
    expect(wrong.json["message"]).toBe(
      'CronTab.stable.example.com "one" is invalid: [spec.cronSpec: Invalid value: "x": ' +
        "spec.cronSpec in body should match '^[0-9*/ ]+$', spec.replicas: Invalid value: 11: " +
        "spec.replicas in body should be less than or equal to 10]",
    );
    expect((await send("POST", TABS, tab({}))).json["message"]).toBe(
      'CronTab.stable.example.com "one" is invalid: spec.cronSpec: Required value',
    );
    const strict = await send(
      "POST",
      `${TABS}?fieldValidation=Strict`,
      tab({ cronSpec: "*", x: 1 }),
    );
    expect(strict.json["message"]).toContain('strict decoding error: unknown field "spec.x"');
    const pruned = await send("POST", TABS, tab({ cronSpec: "*", x: 1 }));
    expect(pruned.json["spec"]).toEqual({ cronSpec: "*", image: "busybox" });
  });

  test("custom resources: rules compare with what was, and spare what stays", async () => {
    const rules = [
      { rule: "self.replicas >= oldSelf.replicas", message: "only grows", fieldPath: ".replicas" },
    ];
    const { spec, status } = SCHEMA.properties;
    const ruled = { ...spec, "x-kubernetes-validations": rules };
    const schema = { openAPIV3Schema: { type: "object", properties: { spec: ruled, status } } };
    const { send } = await withCrontabs(crd({ schema }));
    expect((await send("POST", TABS, tab())).status).toBe(201);
    const shrink = { spec: { replicas: 1 } };
    expect((await send("PATCH", `${TABS}/one`, shrink, MERGE)).json).toMatchObject({
      code: 422,
      message:
        'CronTab.stable.example.com "one" is invalid: spec.replicas: Invalid value: "object": ' +
        "only grows",
    });
    const path = `${CRDS}/crontabs.stable.example.com`;
    const present = (await send("GET", path)).json;
    const properties = { ...spec.properties, replicas: { type: "integer", minimum: 3 } };
    const stricter = { type: "object", properties: { spec: { ...spec, properties }, status } };
    const changed = crd({ schema: { openAPIV3Schema: stricter } });
    await send("PUT", path, { ...present, spec: changed.spec });
    // Two replicas were right when they were written.
    const labels = { metadata: { labels: { more: "x" } } };
    expect((await send("PATCH", `${TABS}/one`, labels, MERGE)).status).toBe(200);
    expect((await send("PATCH", `${TABS}/one`, shrink, MERGE)).status).toBe(422);
  });

  test("custom resources: OpenAPI has them as their definition says", async () => {
    const { send } = await withCrontabs();
    const { json } = await send("GET", "/openapi/v3/apis/stable.example.com/v1");
    const paths = json["paths"] as Record<string, { patch?: { requestBody?: unknown } }>;
    const { patch } = paths[`${TABS.replace("default", "{namespace}")}/{name}`] ?? {};
    expect(JSON.stringify(patch?.requestBody)).not.toContain("strategic");
    expect(json).toMatchObject({
      components: {
        schemas: {
          "com.example.stable.v1.CronTab": {
            properties: { spec: { properties: { cronSpec: { description: "When it runs." } } } },
            "x-kubernetes-group-version-kind": [
              { group: "stable.example.com", version: "v1", kind: "CronTab" },
            ],
          },
          "com.example.stable.v1.CronTabList": { required: ["items"] },
        },
      },
    });
    const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    expect((await send("GET", "/openapi/v2", undefined, { accept })).text).toContain(
      "com.example.stable.v1.CronTab",
    );
  });

  test("custom resources: several versions show the same objects", async () => {
    const old = { ...VERSION, name: "v1beta1", storage: false, deprecated: true };
    const { send } = await withCrontabs(crd({}, { versions: [VERSION, old] }));
    await send("POST", TABS, tab());
    const before = await send("GET", `${TABS.replace("v1", "v1beta1")}/one`);
    expect(before.json).toMatchObject({ apiVersion: "stable.example.com/v1beta1" });
    expect(before.headers.get("warning")).toContain(
      "stable.example.com/v1beta1 CronTab is deprecated",
    );
    const path = `${CRDS}/crontabs.stable.example.com`;
    const present = (await send("GET", path)).json;
    const versions = [
      { ...VERSION, storage: false },
      { ...old, storage: true },
    ];
    const { spec } = crd({}, { versions });
    const changed = await send("PUT", path, { ...present, spec });
    expect(changed.json["status"]).toMatchObject({ storedVersions: ["v1", "v1beta1"] });
    await send("POST", TABS, tab(undefined, "two"));
    const list = (await send("GET", TABS)).json["items"] as { apiVersion: string }[];
    expect(list).toHaveLength(2);
    expect((await send("GET", `${TABS}/two`)).json["apiVersion"]).toBe("stable.example.com/v1");
    const gone = await send("PUT", path, { ...changed.json, spec: crd().spec });
    expect(gone.json["message"]).toContain("status.storedVersions[1]");
  });

  test("custom resources: a definition goes after its objects, and takes no new ones", async () => {
    const { send } = await withCrontabs();
    await send("POST", TABS, tab());
    const path = `${CRDS}/crontabs.stable.example.com`;
    expect((await send("DELETE", path)).json).toMatchObject({
      metadata: { finalizers: ["customresourcecleanup.apiextensions.k8s.io"] },
      status: { conditions: [{}, {}, { type: "Terminating", status: "True" }] },
    });
    expect((await send("POST", TABS, tab(undefined, "two"))).status).toBe(405);
    expect((await send("GET", `${TABS}/one`)).status).toBe(200);
    await send("DELETE", `${TABS}/one`);
    await send("PATCH", path, { metadata: { finalizers: null } }, MERGE);
    expect((await send("GET", TABS)).status).toBe(404);
  });

  test("custom resources: schemas that are not structural are refused, by path", async () => {
    const { send } = await apiFixture();
    const refused = async (schema: unknown): Promise<unknown> => {
      const body = crd({ schema: { openAPIV3Schema: schema }, selectableFields: [] });
      return (await send("POST", CRDS, body)).json["message"];
    };
    const at = "spec.versions[0].schema.openAPIV3Schema";
    expect(await refused({ properties: { a: { type: "string" } } })).toContain(
      `${at}.type: Required value: must not be empty at the root`,
    );
    expect(await refused({ type: "object", properties: { a: {} } })).toContain(
      `${at}.properties[a].type: Required value: must not be empty for specified object fields`,
    );
    const any = { type: "object", properties: { a: { type: "array" } } };
    expect(await refused(any)).toContain(
      `${at}.properties[a].items: Required value: must be specified`,
    );
    const constrained = { type: "object", anyOf: [{ properties: { a: { type: "string" } } }] };
    expect(await refused(constrained)).toContain(`${at}.anyOf[0].properties[a]: Required value`);
    const reference = { type: "object", properties: { a: { type: "object", $ref: "#/x" } } };
    expect(await refused(reference)).toContain(
      `${at}.properties[a].$ref: Forbidden: $ref is not supported`,
    );
    const wrongDefault = { type: "object", properties: { a: { type: "integer", default: "x" } } };
    expect(await refused(wrongDefault)).toContain(`${at}.properties[a].default: Invalid value`);
  });
});
