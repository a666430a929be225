import { expect, test } from "bun:test";
import { CONFIG_MAPS, EVENTS_K8S_IO, EVENTS, PODS } from "../api/index.ts";
import { StatusError } from "../apimachinery/index.ts";
import { StoreError } from "../store/index.ts";
import type { ObjectList } from "./list-page.ts";
import type { StoredObject } from "./object-codec.ts";
import { REACH_WITHIN_MS } from "./reach-revision.ts";
import { configMap, memoryRegistry, pod } from "./testing/registry-fixture.ts";

const NAMESPACE = "default";

function names(list: ObjectList): string[] {
  return list.items.map(({ object }) => object.metadata.name ?? "");
}

async function fiveMaps() {
  const fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  for (const name of ["a", "b", "c", "d", "e"]) {
    const object = configMap(name);
    object.metadata.labels = { vowel: String("ae".includes(name)) };
    await maps.create(NAMESPACE, object);
  }
  return { fixture, maps };
}

test("list: pages show one state of the collection", async () => {
  const { maps } = await fiveMaps();
  const first = await maps.list({ namespace: NAMESPACE, limit: 2 });
  expect(names(first)).toEqual(["a", "b"]);
  expect(first.remainingItemCount).toBe(3);
  await maps.delete(NAMESPACE, "c");
  await maps.create(NAMESPACE, configMap("bb"));
  const second = await maps.list({
    namespace: NAMESPACE,
    limit: 2,
    continue: first.continue ?? "",
  });
  expect(names(second)).toEqual(["c", "d"]);
  expect(second.revision).toBe(first.revision);
  const last = await maps.list({ namespace: NAMESPACE, continue: second.continue ?? "" });
  expect(names(last)).toEqual(["e"]);
  expect(last.continue).toBeUndefined();
});

test("list: an expired page is 410 with a token for the rest", async () => {
  const { fixture, maps } = await fiveMaps();
  const first = await maps.list({ namespace: NAMESPACE, limit: 2 });
  await maps.create(NAMESPACE, configMap("z"));
  await fixture.store.compact(fixture.store.revision);
  const token = first.continue ?? "";
  const error = await maps
    .list({ namespace: NAMESPACE, continue: token })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StatusError);
  const { status } = error as StatusError;
  expect([status.code, status.reason]).toEqual([410, "Expired"]);
  const rest = await maps.list({
    namespace: NAMESPACE,
    continue: status.metadata?.continue ?? "",
  });
  expect(names(rest)).toEqual(["c", "d", "e", "z"]);
});

test("list: fills pages although a selector thins them out", async () => {
  const { maps } = await fiveMaps();
  const request = { namespace: NAMESPACE, labelSelector: "vowel=true" };
  const first = await maps.list({ ...request, limit: 1 });
  expect(names(first)).toEqual(["a"]);
  expect(first.remainingItemCount).toBeUndefined();
  const rest = await maps.list({ ...request, limit: 1, continue: first.continue ?? "" });
  expect(names(rest)).toEqual(["e"]);
  expect(rest.continue).toBeUndefined();
});

test("list: shows the state of an exact resourceVersion, and refuses the future", async () => {
  const { fixture, maps } = await fiveMaps();
  const past = { namespace: NAMESPACE, resourceVersion: "3", resourceVersionMatch: "Exact" };
  expect(names(await maps.list(past))).toEqual(["a", "b"]);
  const asked = maps
    .list({ namespace: NAMESPACE, resourceVersion: "99" })
    .catch((reason: unknown) => reason);
  await fixture.clock.advanceAsync(2 * REACH_WITHIN_MS, 100);
  const future = await asked;
  expect((future as StatusError).code).toBe(504);
  expect((future as StatusError).status.details?.causes?.[0]?.reason).toBe(
    "ResourceVersionTooLarge",
  );
});

test("list: waits for a resourceVersion that is about to come, and so does get", async () => {
  const { fixture, maps } = await fiveMaps();
  const next = String(fixture.store.revision + 1);
  const listed = maps.list({ namespace: NAMESPACE, resourceVersion: next });
  const got = maps.get(NAMESPACE, "f", { resourceVersion: next });
  await fixture.clock.advanceAsync(500, 100);
  await maps.create(NAMESPACE, configMap("f"));
  await fixture.clock.advanceAsync(100);
  expect(names(await listed)).toContain("f");
  expect((await got).object.metadata.name).toBe("f");
});

test("list: resourceVersion 0 is not paged", async () => {
  const { maps } = await fiveMaps();
  const all = await maps.list({ namespace: NAMESPACE, resourceVersion: "0", limit: 2 });
  expect(names(all)).toEqual(["a", "b", "c", "d", "e"]);
  expect(all.continue).toBeUndefined();
});

test("list: refuses options that do not fit together and versions that are none", async () => {
  const { maps } = await fiveMaps();
  const refused = async (request: object): Promise<string> => {
    const error: unknown = await maps
      .list({ namespace: NAMESPACE, ...request })
      .catch((reason: unknown) => reason);
    return `${(error as StatusError).code} ${(error as StatusError).message}`;
  };
  expect(await refused({ resourceVersionMatch: "Exact" })).toBe(
    '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: ' +
      "resourceVersionMatch is forbidden unless resourceVersion is provided",
  );
  expect(await refused({ resourceVersion: "abc" })).toStartWith("400 resourceVersion: Invalid");
  expect(await refused({ continue: "!!" })).toStartWith("400 continue key is not valid");
  expect(await refused({ fieldSelector: "data.x=1" })).toBe(
    '400 "data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
  );
});

test("list: selects by the fields of the kind", async () => {
  await using fixture = await memoryRegistry();
  const pods = fixture.resource(PODS);
  await pods.create(NAMESPACE, pod("p", { nodeName: "node-1" }));
  await pods.create(NAMESPACE, pod("q"));
  const on = { namespace: NAMESPACE, fieldSelector: "spec.nodeName=node-1" };
  expect(names(await pods.list(on))).toEqual(["p"]);
  const off = { namespace: NAMESPACE, fieldSelector: "spec.nodeName=,metadata.name!=x" };
  expect(names(await pods.list(off))).toEqual(["q"]);
});

test("get: reads one storage as both of its kinds", async () => {
  await using fixture = await memoryRegistry();
  await fixture.resource(EVENTS).create(NAMESPACE, {
    kind: "Event",
    apiVersion: "v1",
    metadata: { name: "e" },
    involvedObject: { kind: "Pod", namespace: NAMESPACE, name: "p" },
    message: "it happened",
    reason: "Tested",
    type: "Normal",
  });
  const { object } = await fixture.resource(EVENTS_K8S_IO).get(NAMESPACE, "e");
  expect(object.apiVersion).toBe("events.k8s.io/v1");
  expect(object["note"]).toBe("it happened");
  expect(object["regarding"]).toMatchObject({ name: "p" });
});

test("list: hands out the same decoded object until it changes", async () => {
  const { maps } = await fiveMaps();
  const once = await maps.list({ namespace: NAMESPACE });
  const again = await maps.list({ namespace: NAMESPACE });
  expect(again.items[0]).toBe(once.items[0] as StoredObject);
});

test("get, list: an old state does not pass for the present one", async () => {
  await using fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  await maps.create("default", configMap("a"));
  fixture.store.barrier = () => Promise.reject(new StoreError("unavailable", "no leader"));
  const refused = { status: { code: 503, details: { retryAfterSeconds: 1 } } };
  expect(maps.get("default", "a")).rejects.toMatchObject(refused);
  expect(maps.list({ namespace: "default" })).rejects.toMatchObject(refused);
  // Who says that any state will do gets what is here.
  const any = { resourceVersion: "0" };
  expect((await maps.get("default", "a", any)).object.metadata.name).toBe("a");
  expect((await maps.list({ namespace: "default", ...any })).items).toHaveLength(1);
});
