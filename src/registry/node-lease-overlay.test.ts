import { expect, test } from "bun:test";
import { type Lease, LEASES, NAMESPACES } from "../api/index.ts";
import { type KubeObject, rfc3339Micro } from "../apimachinery/index.ts";
import { DURABLE_EVERY_MS } from "./node-lease-overlay.ts";
import { memoryRegistry, type RegistryFixture } from "./testing/registry-fixture.ts";

const LEASE_NAMESPACE = "kube-node-lease";

function lease(now: number): KubeObject {
  return {
    kind: "Lease",
    apiVersion: "coordination.k8s.io/v1",
    metadata: { name: "node-1" },
    spec: { holderIdentity: "node-1", leaseDurationSeconds: 40, renewTime: rfc3339Micro(now) },
  };
}

async function withLease(namespace: string) {
  const fixture = await memoryRegistry();
  if (namespace !== "default") {
    const object = { kind: "Namespace", apiVersion: "v1", metadata: { name: namespace } };
    await fixture.resource(NAMESPACES).create("", object);
  }
  await fixture.resource(LEASES).create(namespace, lease(fixture.clock.now()));
  return fixture;
}

async function renew(fixture: RegistryFixture, namespace: string) {
  const leases = fixture.resource(LEASES);
  const renewTime = rfc3339Micro(fixture.clock.now());
  const { stored } = await leases.update(
    namespace,
    "node-1",
    (current) => ({ ...current, spec: { ...(current as Lease).spec, renewTime } }),
    { retryConflicts: true },
  );
  return (stored.object as Lease).metadata.resourceVersion;
}

test("NodeLeaseOverlay: heartbeats cost no write and keep the resourceVersion", async () => {
  const fixture = await withLease(LEASE_NAMESPACE);
  const before = fixture.store.revision;
  for (let beat = 0; beat < 20; beat++) {
    fixture.clock.advance(10_000);
    expect(await renew(fixture, LEASE_NAMESPACE)).toBe(String(before));
  }
  expect(fixture.store.revision).toBe(before);
  const { object } = await fixture.resource(LEASES).get(LEASE_NAMESPACE, "node-1");
  expect((object as Lease).spec?.renewTime).toBe(rfc3339Micro(fixture.clock.now()));
  const list = await fixture.resource(LEASES).list({ namespace: LEASE_NAMESPACE });
  expect(JSON.parse(list.items[0]?.json() ?? "")).toEqual(object);
});

test("NodeLeaseOverlay: becomes durable every five minutes", async () => {
  const fixture = await withLease(LEASE_NAMESPACE);
  const before = fixture.store.revision;
  fixture.clock.advance(DURABLE_EVERY_MS);
  await renew(fixture, LEASE_NAMESPACE);
  expect(Number(fixture.store.revision)).toBe(before + 1);
  fixture.clock.advance(10_000);
  await renew(fixture, LEASE_NAMESPACE);
  expect(Number(fixture.store.revision)).toBe(before + 1);
});

test("NodeLeaseOverlay: other changes and other leases are durable at once", async () => {
  const fixture = await withLease(LEASE_NAMESPACE);
  const before = fixture.store.revision;
  await fixture
    .resource(LEASES)
    .update(
      LEASE_NAMESPACE,
      "node-1",
      (current) => ({ ...current, spec: { ...(current as Lease).spec, holderIdentity: "other" } }),
      { retryConflicts: true },
    );
  expect(Number(fixture.store.revision)).toBe(before + 1);
  const elsewhere = await withLease("default");
  const revision = elsewhere.store.revision;
  elsewhere.clock.advance(1_000);
  await renew(elsewhere, "default");
  expect(Number(elsewhere.store.revision)).toBe(revision + 1);
});
