import { describe, expect, test } from "bun:test";
import { CONFIG_MAPS, DEPLOYMENTS, EVENTS, type Pod, PODS, SECRETS } from "../api/index.ts";
import { type KubeObject, StatusError } from "../apimachinery/index.ts";
import { MAX_WRITE_ATTEMPTS } from "./object-writer.ts";
import {
  configMap,
  durableRegistry,
  memoryRegistry,
  pod,
  type RegistryFixture,
} from "./testing/registry-fixture.ts";

const NAMESPACE = "default";

/** The Status that a promise is refused with. */
async function refusal(promise: Promise<unknown>): Promise<StatusError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof StatusError) return error;
  throw new Error(`expected a StatusError, got ${String(error)}`);
}

function deployment(name: string): KubeObject {
  const labels = { app: name };
  return {
    kind: "Deployment",
    apiVersion: "apps/v1",
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      strategy: { type: "Recreate" },
      template: { metadata: { labels }, spec: pod("x")["spec"] },
    },
    status: { replicas: 9 },
  };
}

const stores: [string, () => Promise<RegistryFixture>][] = [
  ["memory", memoryRegistry],
  ["durable", durableRegistry],
];

describe.each(stores)("ObjectWriter over a %s store", (_name, open) => {
  test("create: gives uid, time and resourceVersion, and reads back the same", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    const created = await maps.create(NAMESPACE, configMap("a", { key: "value" }));
    const { metadata } = created.object;
    expect(metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    expect(metadata.creationTimestamp).toBe("2026-01-01T00:00:00Z");
    expect(metadata.namespace).toBe(NAMESPACE);
    expect(metadata.resourceVersion).toBe(String(fixture.store.revision));
    const read = await maps.get(NAMESPACE, "a");
    expect(read.object).toEqual(created.object);
    expect(JSON.parse(read.json())).toEqual(created.object);
  });

  test("create: refuses a name that is taken, and a missing namespace", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    await maps.create(NAMESPACE, configMap("a"));
    const taken = await refusal(maps.create(NAMESPACE, configMap("a")));
    expect(taken.message).toBe('configmaps "a" already exists');
    expect([taken.code, taken.reason]).toEqual([409, "AlreadyExists"]);
    const missing = await refusal(maps.create("nowhere", configMap("a")));
    expect(missing.message).toBe('namespaces "nowhere" not found');
  });

  test("create: makes a name from generateName", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    const object = configMap("");
    object.metadata = { generateName: "web-" };
    const { metadata } = (await maps.create(NAMESPACE, object)).object;
    expect(metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(metadata.generateName).toBe("web-");
  });

  test("create: writes nothing in a dry run", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    const before = fixture.store.revision;
    const { object } = await maps.create(NAMESPACE, configMap("a"), { dryRun: true });
    expect(object.metadata.uid).toBeDefined();
    expect(fixture.store.revision).toBe(before);
  });

  test("update: replaces, keeps what the server owns, and refuses a stale version", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    const { object: old } = await maps.create(NAMESPACE, configMap("a", { key: "1" }));
    const next = configMap("a", { key: "2" });
    next.metadata.resourceVersion = old.metadata.resourceVersion ?? "";
    const { stored } = await maps.update(NAMESPACE, "a", () => structuredClone(next));
    expect(stored.object["data"]).toEqual({ key: "2" });
    expect(stored.object.metadata.uid).toBe(old.metadata.uid ?? "");
    expect(stored.object.metadata.creationTimestamp).toBe(old.metadata.creationTimestamp ?? "");
    const stale = await refusal(maps.update(NAMESPACE, "a", () => structuredClone(next)));
    expect(stale.message).toBe(
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; ' +
        "please apply your changes to the latest version and try again",
    );
  });

  test("update: writes nothing when nothing changes", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    await maps.create(NAMESPACE, configMap("a", { key: "1" }));
    const before = fixture.store.revision;
    await maps.update(NAMESPACE, "a", () => configMap("a", { key: "1" }));
    expect(fixture.store.revision).toBe(before);
  });

  test("update: counts changes of the spec in generation and leaves the status alone", async () => {
    await using fixture = await open();
    const deployments = fixture.resource(DEPLOYMENTS);
    const { object } = await deployments.create(NAMESPACE, deployment("d"));
    expect(object.metadata.generation).toBe(1);
    expect(object["status"]).toEqual({});
    const scaled = await deployments.update(NAMESPACE, "d", (current) => ({
      ...current,
      spec: { ...(current["spec"] as object), replicas: 5 },
      status: { replicas: 5 },
    }));
    expect(scaled.stored.object.metadata.generation).toBe(2);
    expect(scaled.stored.object["status"]).toEqual({});
    const status = await deployments.update(
      NAMESPACE,
      "d",
      (current) => ({ ...current, spec: { replicas: 0 }, status: { replicas: 3 } }),
      { scope: "status" },
    );
    expect(status.stored.object.metadata.generation).toBe(2);
    expect(status.stored.object["status"]).toEqual({ replicas: 3 });
    expect(status.stored.object["spec"]).toMatchObject({ replicas: 5 });
  });

  test("delete: removes at once, and with finalizers when the last one is gone", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    await maps.create(NAMESPACE, configMap("a"));
    expect((await maps.delete(NAMESPACE, "a")).removed).toBe(true);
    expect((await refusal(maps.get(NAMESPACE, "a"))).code).toBe(404);
    const held = configMap("b");
    held.metadata.finalizers = ["example.com/keep"];
    await maps.create(NAMESPACE, held);
    const marked = await maps.delete(NAMESPACE, "b");
    expect(marked.removed).toBe(false);
    expect(marked.stored.object.metadata.deletionTimestamp).toBe("2026-01-01T00:00:00Z");
    expect(marked.stored.object.metadata.deletionGracePeriodSeconds).toBe(0);
    await maps.update(NAMESPACE, "b", (current) => {
      delete current.metadata.finalizers;
      return current;
    });
    expect((await refusal(maps.get(NAMESPACE, "b"))).code).toBe(404);
  });

  test("delete: lets a pod on a node end gracefully, then sooner, then at once", async () => {
    await using fixture = await open();
    const pods = fixture.resource(PODS);
    await pods.create(NAMESPACE, pod("p", { nodeName: "node-1" }));
    const graceful = await pods.delete(NAMESPACE, "p");
    expect(graceful.removed).toBe(false);
    const { metadata } = graceful.stored.object;
    expect(metadata.deletionTimestamp).toBe("2026-01-01T00:00:30Z");
    expect(metadata.deletionGracePeriodSeconds).toBe(30);
    expect(metadata.generation).toBe(2);
    const longer = await pods.delete(NAMESPACE, "p", { gracePeriodSeconds: 60 });
    expect(longer.stored.revision).toBe(graceful.stored.revision);
    const sooner = await pods.delete(NAMESPACE, "p", { gracePeriodSeconds: 5 });
    expect(sooner.stored.object.metadata.deletionTimestamp).toBe("2026-01-01T00:00:05Z");
    expect((await pods.delete(NAMESPACE, "p", { gracePeriodSeconds: 0 })).removed).toBe(true);
  });

  test("delete: removes a pod without a node at once", async () => {
    await using fixture = await open();
    const pods = fixture.resource(PODS);
    await pods.create(NAMESPACE, pod("p"));
    expect((await pods.delete(NAMESPACE, "p")).removed).toBe(true);
  });

  test("delete: turns the propagation policy into finalizers", async () => {
    await using fixture = await open();
    const deployments = fixture.resource(DEPLOYMENTS);
    await deployments.create(NAMESPACE, deployment("d"));
    const orphaned = await deployments.delete(NAMESPACE, "d", { propagationPolicy: "Orphan" });
    expect(orphaned.stored.object.metadata.finalizers).toEqual(["orphan"]);
    const changed = await deployments.delete(NAMESPACE, "d", { propagationPolicy: "Foreground" });
    expect(changed.stored.object.metadata.finalizers).toEqual(["foregroundDeletion"]);
    expect(
      (await deployments.delete(NAMESPACE, "d", { propagationPolicy: "Background" })).removed,
    ).toBe(true);
  });

  test("delete: holds preconditions", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    const { object } = await maps.create(NAMESPACE, configMap("a"));
    const other = await refusal(maps.delete(NAMESPACE, "a", { preconditions: { uid: "another" } }));
    expect(other.code).toBe(409);
    expect(other.message).toContain("Precondition failed: UID in precondition: another");
    const { uid = "", resourceVersion = "" } = object.metadata;
    const request = { preconditions: { uid, resourceVersion } };
    expect((await maps.delete(NAMESPACE, "a", request)).removed).toBe(true);
  });

  test("deleteCollection: deletes what the selector selects", async () => {
    await using fixture = await open();
    const maps = fixture.resource(CONFIG_MAPS);
    for (const [name, tier] of [
      ["a", "x"],
      ["b", "y"],
      ["c", "x"],
    ] as const) {
      const object = configMap(name);
      object.metadata.labels = { tier };
      await maps.create(NAMESPACE, object);
    }
    const gone = await maps.deleteCollection({ namespace: NAMESPACE, labelSelector: "tier=x" });
    expect(gone.items.map(({ object }) => object.metadata.name)).toEqual(["a", "c"]);
    const left = await maps.list({ namespace: NAMESPACE });
    expect(left.items.map(({ object }) => object.metadata.name)).toEqual(["b"]);
  });
});

describe("ObjectWriter", () => {
  test("update: starts again when another write wins, unless it names a version", async () => {
    await using fixture = await memoryRegistry();
    const maps = fixture.resource(CONFIG_MAPS);
    const { object } = await maps.create(NAMESPACE, configMap("a", { key: "0" }));
    let others = 3;
    const interfere = async (): Promise<void> => {
      if (others-- <= 0) return;
      fixture.store.beforeWrite = undefined;
      await maps.update(NAMESPACE, "a", () => configMap("a", { key: `other-${others}` }));
      fixture.store.beforeWrite = interfere;
    };
    fixture.store.beforeWrite = interfere;
    const { stored } = await maps.update(NAMESPACE, "a", () => configMap("a", { key: "mine" }));
    expect(stored.object["data"]).toEqual({ key: "mine" });
    others = 1;
    const named = configMap("a", { key: "named" });
    named.metadata.resourceVersion = stored.object.metadata.resourceVersion ?? "";
    const lost = await refusal(maps.update(NAMESPACE, "a", () => structuredClone(named)));
    expect(lost.reason).toBe("Conflict");
    expect(object.metadata.name).toBe("a");
  });

  test("update: more writers at once than it has attempts all get through", async () => {
    await using fixture = await memoryRegistry();
    const maps = fixture.resource(CONFIG_MAPS);
    await maps.create(NAMESPACE, configMap("a", {}));
    const writers = Array.from({ length: 2 * MAX_WRITE_ATTEMPTS }, (_, index) =>
      maps.update(
        NAMESPACE,
        "a",
        (object) => ({ ...object, data: { ...(object["data"] as object), [`k${index}`]: "v" } }),
        { retryConflicts: true },
      ),
    );
    await Promise.all(writers);
    const { object } = await maps.get(NAMESPACE, "a");
    expect(Object.keys(object["data"] ?? {})).toHaveLength(writers.length);
  });

  test("update: gives up after its attempts instead of spinning", async () => {
    await using fixture = await memoryRegistry();
    const maps = fixture.resource(CONFIG_MAPS);
    await maps.create(NAMESPACE, configMap("a"));
    let attempts = 0;
    const interfere = async (): Promise<void> => {
      fixture.store.beforeWrite = undefined;
      await maps.update(NAMESPACE, "a", () => configMap("a", { n: String(attempts) }));
      fixture.store.beforeWrite = interfere;
    };
    fixture.store.beforeWrite = interfere;
    const change = (): KubeObject => {
      attempts++;
      return configMap("a", { mine: "x" });
    };
    const given = await refusal(maps.update(NAMESPACE, "a", change));
    expect(given.reason).toBe("ServerTimeout");
    expect(attempts).toBe(MAX_WRITE_ATTEMPTS);
  });

  test("create: keeps a Secret's stringData as data", async () => {
    await using fixture = await memoryRegistry();
    const secret = { kind: "Secret", apiVersion: "v1", metadata: { name: "s" }, type: "Opaque" };
    const { object } = await fixture
      .resource(SECRETS)
      .create(NAMESPACE, { ...secret, stringData: { password: "hunter2" } });
    expect(object["data"]).toEqual({ password: "aHVudGVyMg==" });
    expect(object["stringData"]).toBeUndefined();
  });

  test("create: hangs events on a shared lease", async () => {
    await using fixture = await memoryRegistry();
    const events = fixture.resource(EVENTS);
    const event = (name: string): KubeObject => ({
      kind: "Event",
      apiVersion: "v1",
      metadata: { name },
      involvedObject: { kind: "Pod", namespace: NAMESPACE, name: "p" },
      reason: "Tested",
      type: "Normal",
    });
    await events.create(NAMESPACE, event("one"));
    await events.create(NAMESPACE, event("two"));
    const leases = fixture.store.list("/registry/core/events/").map(({ lease }) => Number(lease));
    expect(leases).toEqual([1, 1]);
    fixture.clock.advance(6 * 60 * 1000);
    await events.create(NAMESPACE, event("three"));
    expect(Number(fixture.store.get("/registry/core/events/default/three")?.lease)).toBe(2);
  });

  test("create: completes a pod from the cluster", async () => {
    await using fixture = await memoryRegistry();
    const { object } = await fixture.resource(PODS).create(NAMESPACE, pod("p"));
    const { spec, status } = object as Pod;
    expect(spec).toMatchObject({
      serviceAccountName: "default",
      priority: 0,
      preemptionPolicy: "PreemptLowerPriority",
    });
    expect(spec?.tolerations?.map(({ key }) => key)).toEqual([
      "node.kubernetes.io/not-ready",
      "node.kubernetes.io/unreachable",
    ]);
    expect(status).toEqual({ phase: "Pending", qosClass: "BestEffort" });
    const unknown = pod("q", { runtimeClassName: "nope" });
    const refused = await refusal(fixture.resource(PODS).create(NAMESPACE, unknown));
    expect(refused.message).toBe(
      'pods "q" is forbidden: pod rejected: RuntimeClass "nope" not found',
    );
  });
});

describe("ObjectWriter at a leader whose followers are ahead", () => {
  /** A store whose memory lags: what the key holds is seen only after a barrier. */
  async function lagging(
    act: (maps: ReturnType<RegistryFixture["resource"]>, hide: () => void) => Promise<void>,
  ): Promise<void> {
    await using fixture = await memoryRegistry();
    const { store } = fixture;
    const { get, barrier } = store;
    let hidden: string | undefined;
    store.get = (key) => (key === hidden ? undefined : get.call(store, key));
    store.barrier = () => {
      hidden = undefined;
      return barrier.call(store);
    };
    const hide = (): void => {
      hidden = "/registry/core/configmaps/default/a";
    };
    await act(fixture.resource(CONFIG_MAPS), hide);
  }

  test("update: does not refuse what its memory does not have yet", () =>
    lagging(async (maps, hide) => {
      await maps.create(NAMESPACE, configMap("a", { key: "old" }));
      hide();
      const { stored } = await maps.update(NAMESPACE, "a", (current) => ({
        ...current,
        data: { key: "new" },
      }));
      expect(stored.object["data"]).toEqual({ key: "new" });
    }));

  test("delete: does not refuse what its memory does not have yet", () =>
    lagging(async (maps, hide) => {
      await maps.create(NAMESPACE, configMap("a"));
      hide();
      expect((await maps.delete(NAMESPACE, "a")).removed).toBe(true);
    }));

  test("create: does not refuse for a namespace that its memory does not have yet", async () => {
    await using fixture = await memoryRegistry();
    const { store } = fixture;
    const { get, barrier, revision } = store;
    let lags = true;
    store.get = (key) => (lags && key.endsWith("/default") ? undefined : get.call(store, key));
    Object.defineProperty(store, "revision", { get: () => (lags ? revision - 1 : revision) });
    store.barrier = () => {
      lags = false;
      return barrier.call(store);
    };
    const { object } = await fixture.resource(CONFIG_MAPS).create(NAMESPACE, configMap("a"));
    expect(object.metadata.name).toBe("a");
    expect(lags).toBe(false);
  });

  test("update: asks for the latest before it says that nothing changes", async () => {
    await using fixture = await memoryRegistry();
    const maps = fixture.resource(CONFIG_MAPS);
    await maps.create(NAMESPACE, configMap("a"));
    const { barrier } = fixture.store;
    let asked = 0;
    fixture.store.barrier = () => {
      asked += 1;
      return barrier.call(fixture.store);
    };
    await maps.update(NAMESPACE, "a", (current) => current);
    expect(asked).toBe(1);
  });
});
