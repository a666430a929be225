import { expect, test } from "bun:test";
import { CONFIG_MAPS, LEASES, NAMESPACES, SERVICES } from "../api/index.ts";
import { type KubeObject, rfc3339Micro } from "../apimachinery/index.ts";
import { type Leadership, type MemberId, StoreError, type Term } from "../store/index.ts";
import { configMap, memoryRegistry } from "./testing/registry-fixture.ts";

const leads = (term: number): Leadership => ({
  term: term as Term,
  leader: 1 as MemberId,
  self: true,
});
const follows = (term: number): Leadership => ({
  term: term as Term,
  leader: 2 as MemberId,
  self: false,
});

function service(name: string, nodePort: number): KubeObject {
  const ports = [{ port: 80, protocol: "TCP", targetPort: 80, nodePort }];
  const spec = {
    type: "NodePort",
    ports,
    sessionAffinity: "None",
    externalTrafficPolicy: "Cluster",
  };
  return { kind: "Service", apiVersion: "v1", metadata: { name }, spec };
}

function lease(name: string, renewTime: string): KubeObject {
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
  return { kind: "Lease", apiVersion: "coordination.k8s.io/v1", metadata: { name }, spec };
}

test("Leading: who does not lead writes nothing, and says when to ask again", async () => {
  const fixture = await memoryRegistry();
  const maps = fixture.resource(CONFIG_MAPS);
  fixture.store.elect(follows(2));
  const before = fixture.store.writes;
  const refused = await maps.create("default", configMap("a")).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    status: { code: 503, reason: "ServiceUnavailable", details: { retryAfterSeconds: 1 } },
  });
  expect(fixture.registry.lead(2 as Term)).rejects.toMatchObject({ status: { code: 503 } });
  expect(fixture.store.writes).toBe(before);
  fixture.store.elect(leads(3));
  expect((await maps.create("default", configMap("a"))).object.metadata.name).toBe("a");
});

test("fenced: what one term decided, a later one does not write", async () => {
  const fixture = await memoryRegistry();
  const maps = fixture.registry.fenced().resource(fixture.resource(CONFIG_MAPS).definition);
  fixture.store.elect(leads(7));
  for (const write of [
    () => maps.create("default", configMap("a")),
    () => maps.update("default", "a", (current) => current),
    () => maps.delete("default", "a"),
  ]) {
    expect(write()).rejects.toMatchObject({ status: { code: 503 } });
  }
  const now = fixture.registry.fenced().resource(maps.definition);
  await now.create("default", configMap("a"));
  fixture.store.beforeWrite = () => fixture.store.elect(leads(8));
  expect(now.create("default", configMap("b"))).rejects.toMatchObject({
    status: { code: 503 },
  });
});

test("lead: knows the ports that another leader gave out", async () => {
  const fixture = await memoryRegistry();
  const services = fixture.resource(SERVICES);
  await services.create("default", service("first", 30_001));
  fixture.store.elect(follows(2));
  fixture.registry.follow();
  // Another server's registry over the same state leads meanwhile.
  const other = await memoryRegistry({ store: fixture.store });
  fixture.store.elect(leads(3));
  await other.resource(SERVICES).create("default", service("second", 30_002));
  fixture.store.elect(leads(4));
  await fixture.registry.lead(4 as Term);
  const taken = services.create("default", service("third", 30_002));
  expect(taken).rejects.toThrow("provided port is already allocated");
});

test("lead: a port that may have been given out is free again in the next term", async () => {
  const fixture = await memoryRegistry();
  const services = fixture.resource(SERVICES);
  fixture.store.beforeWrite = () => {
    throw new StoreError("unavailable", "no majority");
  };
  const lost = services.create("default", service("first", 30_001));
  expect(lost).rejects.toMatchObject({ status: { code: 504 } });
  fixture.store.beforeWrite = undefined;
  const again = services.create("default", service("second", 30_001));
  expect(again).rejects.toThrow("provided port is already allocated");
  fixture.store.elect(leads(9));
  await services.create("default", service("second", 30_001));
});

test("lead: gives every node its full lease duration first", async () => {
  const fixture = await memoryRegistry();
  const { clock, store } = fixture;
  const namespace = "kube-node-lease";
  await fixture
    .resource(NAMESPACES)
    .create("", { kind: "Namespace", apiVersion: "v1", metadata: { name: namespace } });
  const leases = fixture.resource(LEASES);
  const old = rfc3339Micro(clock.now());
  await leases.create(namespace, lease("pi", old));
  const renewed = async (): Promise<unknown> => {
    const { object } = await leases.get(namespace, "pi");
    return (object["spec"] as { renewTime: string }).renewTime;
  };
  clock.advance(60_000);
  store.elect(follows(2));
  expect(await renewed()).toBe(old);
  const before = store.writes;
  store.elect(leads(3));
  await fixture.registry.lead(3 as Term);
  expect(await renewed()).toBe(rfc3339Micro(clock.now()));
  expect(store.writes).toBe(before);
});
