import { expect, test } from "bun:test";
import { resourceDefinitions, type ResourceDefinition } from "../api/index.ts";
import { apiVersionOf } from "../apimachinery/index.ts";
import { apiFixture } from "./testing/api-fixture.ts";
import { sampleOf } from "./testing/kind-samples.ts";

const MERGE = { "content-type": "application/merge-patch+json" };
const STRATEGIC = { "content-type": "application/strategic-merge-patch+json" };
const JSON_PATCH = { "content-type": "application/json-patch+json" };
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
const stored = resourceDefinitions.filter(({ verbs }) => verbs.includes("watch"));

interface Metadata {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Table {
  readonly columnDefinitions: readonly unknown[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

function collectionOf({ group, version, resource, namespaced }: ResourceDefinition): string {
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  return `${root}${namespaced ? "/namespaces/default" : ""}/${resource}`;
}

/** IPAddresses are named by an address, definitions of kinds by what they define. */
function nameFor({ resource }: ResourceDefinition): string {
  if (resource === "customresourcedefinitions") return "samples.example.com";
  return resource === "ipaddresses" ? "10.77.0.1" : "sample";
}

test.each(
  stored.map((definition) => [`${apiVersionOf(definition)} ${definition.kind}`, definition]),
)("createApiServer: serves %s with every verb", async (_title, definition) => {
  const { kind } = definition;
  const apiVersion = apiVersionOf(definition);
  const { send } = await apiFixture();
  const collection = collectionOf(definition);
  const name = nameFor(definition);
  const path = `${collection}/${name}`;
  const body = { ...sampleOf(definition), metadata: { name, labels: { picked: "yes" } } };
  expect((await send("POST", `${collection}?dryRun=All`, body)).status).toBe(201);
  expect((await send("GET", path)).status).toBe(404);
  const created = await send("POST", `${collection}?fieldValidation=Strict`, body);
  expect([created.status, created.json]).toMatchObject([201, { kind, apiVersion }]);
  expect((await send("POST", collection, body)).json["reason"]).toBe("AlreadyExists");
  const unknown = await send("POST", `${collection}?fieldValidation=Strict`, { ...body, bogus: 1 });
  expect(unknown.json["reason"]).toBe("BadRequest");

  const list = await send("GET", `${collection}?labelSelector=picked%3Dyes`);
  expect(list.json).toMatchObject({ kind: `${kind}List`, apiVersion });
  expect(list.json["items"]).toHaveLength(1);
  const selected = await send("GET", `${collection}?fieldSelector=metadata.name%3D${name}`);
  expect(selected.json["items"]).toHaveLength(1);
  const table = (await send("GET", path, undefined, TABLE)).json as unknown as Table;
  expect(table.rows[0]?.cells).toHaveLength(table.columnDefinitions.length);
  expect(table.rows[0]?.cells.join(" ")).not.toMatch(/NaN|undefined|null|\[object/);

  const read = await send("GET", path);
  const { metadata } = read.json as { metadata: Metadata };
  const same = await send("PUT", path, read.json);
  expect([same.status, same.json]).toMatchObject([200, { metadata }]);
  const patches: [Record<string, string>, unknown][] = [
    [MERGE, { metadata: { annotations: { merge: "1" } } }],
    [STRATEGIC, { metadata: { annotations: { strategic: "1" } } }],
    [JSON_PATCH, [{ op: "add", path: "/metadata/annotations/json", value: "1" }]],
  ];
  for (const [type, patch] of patches) {
    expect((await send("PATCH", path, patch, type)).status).toBe(200);
  }
  const patched = (await send("GET", path)).json as { metadata: Metadata };
  expect(patched.metadata.annotations).toEqual({ merge: "1", strategic: "1", json: "1" });
  expect((await send("PUT", path, read.json)).json["reason"]).toBe("Conflict");

  const other = { preconditions: { uid: "another" } };
  expect((await send("DELETE", path, other)).json["reason"]).toBe("Conflict");
  expect((await send("DELETE", path)).status).toBe(200);
  // These go when their content is gone, which a controller sees to.
  if (["namespaces", "customresourcedefinitions"].includes(definition.resource)) return;
  expect((await send("GET", path)).status).toBe(404);
  if (!definition.verbs.includes("deletecollection")) return;
  await send("POST", collection, body);
  await send("DELETE", `${collection}?labelSelector=picked%3Dyes`);
  expect((await send("GET", path)).status).toBe(404);
});
