import { expect, test } from "bun:test";
import { type Service, SERVICES } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import { createRegistry } from "../registry.ts";
import { definitionOf } from "../lookup.ts";
import { memoryRegistry } from "../testing/registry-fixture.ts";
import { SeededRandom, silentLogger } from "../../lib/index.ts";

const NAMESPACE = "default";

function service(name: string, spec: Record<string, unknown> = {}): KubeObject {
  return {
    kind: "Service",
    apiVersion: "v1",
    metadata: { name },
    spec: {
      type: "ClusterIP",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      sessionAffinity: "None",
      ...spec,
    },
  };
}

function specOf(stored: { object: Readonly<KubeObject> }): NonNullable<Service["spec"]> {
  return (stored.object as Service).spec ?? {};
}

async function message(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "accepted",
    (error: Error) => error.message,
  );
}

test("ServiceStrategy: gives each Service an address, and again after its deletion", async () => {
  await using fixture = await memoryRegistry({ serviceCidr: "127.43.0.0/29" });
  const services = fixture.resource(SERVICES);
  const seen = new Set<string>();
  for (let index = 0; index < 6; index++) {
    const spec = specOf(await services.create(NAMESPACE, service(`s${index}`)));
    expect(spec.clusterIPs).toEqual([spec.clusterIP ?? ""]);
    expect(spec.ipFamilies).toEqual(["IPv4"]);
    seen.add(spec.clusterIP ?? "");
  }
  expect(seen.size).toBe(6);
  expect(await message(services.create(NAMESPACE, service("full")))).toContain("range is full");
  await services.delete(NAMESPACE, "s0");
  expect(await message(services.create(NAMESPACE, service("again")))).toBe("accepted");
});

test("ServiceStrategy: refuses addresses and ports that are taken or out of range", async () => {
  await using fixture = await memoryRegistry();
  const services = fixture.resource(SERVICES);
  const wanted = { clusterIP: "127.43.0.9", type: "NodePort" };
  const ports = [{ port: 80, protocol: "TCP", targetPort: 80, nodePort: 30_080 }];
  await services.create(NAMESPACE, service("a", { ...wanted, ports }));
  expect(await message(services.create(NAMESPACE, service("b", wanted)))).toBe(
    'Service "b" is invalid: spec.clusterIPs: Invalid value: ["127.43.0.9"]: ' +
      "failed to allocate IP 127.43.0.9: provided IP is already allocated",
  );
  expect(await message(services.create(NAMESPACE, service("b", { type: "NodePort", ports })))).toBe(
    'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30080: ' +
      "provided port is already allocated",
  );
  const far = [{ port: 80, protocol: "TCP", targetPort: 80, nodePort: 80 }];
  const refused = await message(
    services.create(NAMESPACE, service("b", { type: "NodePort", ports: far })),
  );
  expect(refused).toContain("The range of valid ports is 30000-32767");
  // What a refused Service had taken before is free again.
  expect(
    await message(services.create(NAMESPACE, service("c", { clusterIP: "127.43.0.10" }))),
  ).toBe("accepted");
});

test("ServiceStrategy: keeps what an update leaves out, gives back the unneeded", async () => {
  await using fixture = await memoryRegistry({ nodePortRange: { from: 30_000, to: 30_000 } });
  const services = fixture.resource(SERVICES);
  const before = specOf(await services.create(NAMESPACE, service("a", { type: "NodePort" })));
  expect(before.ports?.[0]?.nodePort).toBe(30_000);
  const same = await services.update(NAMESPACE, "a", () => service("a", { type: "NodePort" }));
  expect(specOf(same.stored).clusterIP).toBe(before.clusterIP ?? "");
  expect(specOf(same.stored).ports?.[0]?.nodePort).toBe(30_000);
  const inner = await services.update(NAMESPACE, "a", () => service("a"));
  expect(specOf(inner.stored).ports?.[0]?.nodePort).toBeUndefined();
  expect(await message(services.create(NAMESPACE, service("b", { type: "NodePort" })))).toBe(
    "accepted",
  );
});

test("ServiceStrategy: gives no address to headless and external Services", async () => {
  await using fixture = await memoryRegistry();
  const services = fixture.resource(SERVICES);
  const headless = await services.create(NAMESPACE, service("h", { clusterIP: "None" }));
  expect(specOf(headless).clusterIPs).toEqual(["None"]);
  const external = await services.create(
    NAMESPACE,
    service("e", { type: "ExternalName", externalName: "example.com", ports: [] }),
  );
  expect(specOf(external).clusterIP).toBeUndefined();
});

test("ServiceStrategy: knows what is taken after a restart", async () => {
  await using fixture = await memoryRegistry();
  const { store, clock } = fixture;
  const wanted = service("a", { clusterIP: "127.43.0.9" });
  await fixture.resource(SERVICES).create(NAMESPACE, wanted);
  const restarted = createRegistry({
    store,
    clock,
    random: new SeededRandom(8),
    logger: silentLogger,
    serviceCidr: "127.43.0.0/16",
    nodePortRange: { from: 30_000, to: 32_767 },
  }).resource(definitionOf(SERVICES));
  const again = service("b", { clusterIP: "127.43.0.9" });
  expect(await message(restarted.create(NAMESPACE, again))).toContain("already allocated");
});

test("ServiceStrategy: an address cannot be changed, and the refusal says so once", async () => {
  await using fixture = await memoryRegistry();
  const services = fixture.resource(SERVICES);
  const { clusterIP, clusterIPs } = specOf(await services.create(NAMESPACE, service("a")));
  const changed = service("a", { clusterIP: "127.43.0.77", clusterIPs: clusterIPs ?? [] });
  const refusal = await message(services.update(NAMESPACE, "a", () => changed));
  expect(refusal).toContain("spec.clusterIPs[0]: Invalid value");
  expect(refusal).not.toContain("first value must match");
  expect(clusterIP).not.toBe("127.43.0.77");
});

test("ServiceStrategy: drops what means nothing to the new type", async () => {
  await using fixture = await memoryRegistry();
  const services = fixture.resource(SERVICES);
  const policy = { externalTrafficPolicy: "Cluster" };
  await services.create(NAMESPACE, service("a", { type: "LoadBalancer", ...policy }));
  const { stored } = await services.update(NAMESPACE, "a", (object) => {
    const { ports: _ports, ...kept } = specOf({ object });
    return service("a", { ...kept, type: "ExternalName", externalName: "example.com" });
  });
  const spec = specOf(stored);
  expect(spec.externalTrafficPolicy).toBeUndefined();
  expect(spec.allocateLoadBalancerNodePorts).toBeUndefined();
  expect(spec.clusterIPs).toBeUndefined();
});
