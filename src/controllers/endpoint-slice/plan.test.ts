import { describe, expect, test } from "bun:test";
import type { EndpointSlice, Pod, Service } from "../../api/index.ts";
import { randomInteger, SeededRandom } from "../../lib/index.ts";
import { legacyEndpoints, MAX_ENDPOINTS_ADDRESSES } from "./legacy-endpoints.ts";
import { MAX_ENDPOINTS_PER_SLICE, planSlices } from "./plan.ts";

const service = (spec: Partial<Service["spec"]> = {}): Service => ({
  metadata: { name: "web", namespace: "default", uid: "s", labels: { team: "a" } },
  spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: "http" }], ...spec },
});

interface PodChange {
  readonly ready?: boolean;
  readonly port?: number;
  readonly deleted?: boolean;
  readonly phase?: string;
  readonly ip?: string;
}

function pod(index: number, change: PodChange = {}): Pod {
  const { ready = true, port = 8080, deleted = false, phase = "Running" } = change;
  const { ip = `127.42.${index >> 8}.${index & 255}` } = change;
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  return {
    metadata: {
      name: `p${String(index).padStart(4, "0")}`,
      namespace: "default",
      uid: `u${index}`,
      ...(deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    spec: {
      nodeName: "n1",
      containers: [{ name: "c", ports: [{ name: "http", containerPort: port }] }],
    },
    status: { phase, conditions, ...(ip === "" ? {} : { podIP: ip }) },
  };
}

/** The slices as they are after a plan was carried out, and what it took. */
class Slices {
  slices: EndpointSlice[] = [];
  #names = 0;

  apply(of: Service, pods: readonly Pod[]): string[] {
    const actions = planSlices({ service: of, pods, slices: this.slices });
    for (const { type, slice } of actions) {
      const { name } = slice.metadata;
      const others = this.slices.filter(({ metadata }) => metadata.name !== name);
      if (type === "delete") this.slices = others;
      else if (type === "update") this.slices = [...others, slice];
      else {
        const metadata = { ...slice.metadata, name: `slice-${++this.#names}` };
        this.slices = [...this.slices, { ...slice, metadata }];
      }
    }
    return actions.map(({ type }) => type);
  }

  get addresses(): string[] {
    return this.slices
      .flatMap(({ endpoints }) => endpoints ?? [])
      .flatMap(({ addresses }) => addresses)
      .toSorted((a, b) => (a < b ? -1 : 1));
  }
}

describe("planSlices", () => {
  test("planSlices: says how ready each pod is", () => {
    const slices = new Slices();
    const gone = pod(4, { phase: "Succeeded" });
    const early = pod(5, { ip: "" });
    slices.apply(service(), [
      pod(1),
      pod(2, { ready: false }),
      pod(3, { deleted: true }),
      gone,
      early,
    ]);
    const [slice] = slices.slices;
    expect(slice?.metadata).toMatchObject({
      labels: {
        team: "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
      },
      ownerReferences: [{ kind: "Service", name: "web", uid: "s", controller: true }],
    });
    expect(slice?.endpoints).toEqual([
      {
        addresses: ["127.42.0.1"],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: "n1",
        targetRef: { kind: "Pod", namespace: "default", name: "p0001", uid: "u1" },
      },
      expect.objectContaining({ conditions: { ready: false, serving: false, terminating: false } }),
      expect.objectContaining({ conditions: { ready: false, serving: true, terminating: true } }),
    ]);
  });

  test("planSlices: publishNotReadyAddresses makes all ready", () => {
    const slices = new Slices();
    slices.apply(service({ publishNotReadyAddresses: true }), [pod(1, { ready: false })]);
    expect(slices.slices[0]?.endpoints?.[0]?.conditions).toEqual({
      ready: true,
      serving: false,
      terminating: false,
    });
  });

  test("planSlices: without pods one empty slice says so, and takes the first pods in", () => {
    const slices = new Slices();
    expect(slices.apply(service(), [])).toEqual(["create"]);
    expect(slices.apply(service(), [])).toEqual([]);
    expect(slices.apply(service(), [pod(1)])).toEqual(["update"]);
    expect(slices.apply(service(), [])).toEqual(["update"]);
    expect(slices.addresses).toEqual([]);
  });

  test("planSlices: a named port that differs between pods makes two slices", () => {
    const slices = new Slices();
    slices.apply(service(), [pod(1), pod(2, { port: 9090 })]);
    expect(slices.slices.map(({ ports }) => ports?.[0]?.port)).toEqual([8080, 9090]);
  });

  test("planSlices: a headless Service without ports still lists its pods", () => {
    const slices = new Slices();
    slices.apply(service({ clusterIP: "None", ports: [] }), [pod(1)]);
    expect(slices.addresses).toEqual(["127.42.0.1"]);
    expect(slices.slices[0]?.metadata.labels?.["service.kubernetes.io/headless"]).toBe("");
  });

  test("planSlices: whatever comes and goes, each pod is in one slice of at most a hundred", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new SeededRandom(seed);
      const slices = new Slices();
      const alive = new Map<number, Pod>();
      for (let round = 0; round < 12; round++) {
        const changes = randomInteger(random, 150);
        for (let change = 0; change < changes; change++) {
          const index = randomInteger(random, 400);
          if (random.float() < 0.5) alive.delete(index);
          else alive.set(index, pod(index, { ready: random.float() < 0.9 }));
        }
        const pods = [...alive.values()];
        slices.apply(service(), pods);
        const wanted = pods.map(({ status }) => status?.podIP ?? "");
        expect(slices.addresses).toEqual(wanted.toSorted((a, b) => (a < b ? -1 : 1)));
        for (const { endpoints = [] } of slices.slices) {
          expect(endpoints.length).toBeLessThanOrEqual(MAX_ENDPOINTS_PER_SLICE);
        }
        expect(slices.apply(service(), pods)).toEqual([]);
      }
    }
  });

  test("planSlices: one pod more or less is one write", () => {
    const slices = new Slices();
    const pods = Array.from({ length: 250 }, (_, index) => pod(index));
    expect(slices.apply(service(), pods)).toEqual(["create", "create", "create"]);
    expect(slices.apply(service(), [...pods, pod(300)])).toEqual(["update"]);
    expect(slices.apply(service(), pods.slice(1))).toHaveLength(2);
  });
});

describe("legacyEndpoints", () => {
  test("legacyEndpoints: sorts ready from not ready and leaves out what is on its way out", () => {
    const endpoints = legacyEndpoints(service(), [
      pod(2),
      pod(1),
      pod(3, { ready: false }),
      pod(4, { deleted: true }),
    ]);
    expect(endpoints.subsets).toEqual([
      {
        addresses: [
          expect.objectContaining({ ip: "127.42.0.1" }),
          expect.objectContaining({ ip: "127.42.0.2" }),
        ],
        notReadyAddresses: [expect.objectContaining({ ip: "127.42.0.3" })],
        ports: [{ port: 8080, protocol: "TCP" }],
      },
    ]);
    expect(endpoints.metadata.labels?.["endpoints.kubernetes.io/managed-by"]).toBe(
      "endpoint-controller",
    );
  });

  test("legacyEndpoints: holds a thousand addresses and says that there are more", () => {
    const pods = Array.from({ length: MAX_ENDPOINTS_ADDRESSES + 1 }, (_, index) => pod(index));
    const endpoints = legacyEndpoints(service(), pods);
    expect(endpoints.subsets?.[0]?.addresses?.length).toBe(MAX_ENDPOINTS_ADDRESSES);
    expect(endpoints.metadata.annotations).toEqual({
      "endpoints.kubernetes.io/over-capacity": "truncated",
    });
  });
});
