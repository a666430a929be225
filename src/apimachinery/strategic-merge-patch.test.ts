import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { applyStrategicMergePatch } from "./strategic-merge-patch.ts";
import { loadSchemas } from "./testing/api-types.ts";
import { typicalDeployment } from "./testing/deployment.ts";

const schemas = loadSchemas();

function patchPod(document: unknown, patch: unknown): unknown {
  return applyStrategicMergePatch(schemas("core.v1.Pod"), document, patch);
}

function patchSpec(document: unknown, patch: unknown): unknown {
  return applyStrategicMergePatch(schemas("core.v1.PodSpec"), document, patch);
}

describe("applyStrategicMergePatch", () => {
  test("applyStrategicMergePatch: merges containers by name and keeps the others", () => {
    const document = {
      containers: [
        { name: "a", image: "x", env: [{ name: "E", value: "1" }] },
        { name: "b", image: "y" },
      ],
    };
    const patch = {
      containers: [
        { name: "b", image: "z" },
        { name: "a", env: [{ name: "F", value: "2" }] },
      ],
    };
    expect(patchSpec(document, patch)).toEqual({
      containers: [
        { name: "b", image: "z" },
        {
          name: "a",
          image: "x",
          env: [
            { name: "F", value: "2" },
            { name: "E", value: "1" },
          ],
        },
      ],
    });
  });

  test("applyStrategicMergePatch: puts new items where the patch's order has them", () => {
    const names = (list: string[]): unknown => ({ containers: list.map((name) => ({ name })) });
    expect(patchSpec(names(["a", "b"]), names(["c"]))).toEqual(names(["c", "a", "b"]));
    expect(patchSpec(names(["a", "x", "b"]), names(["b", "n"]))).toEqual(
      names(["a", "x", "b", "n"]),
    );
  });

  test("applyStrategicMergePatch: replaces lists that have no merge key", () => {
    const document = { tolerations: [{ key: "a" }], containers: [{ name: "a", args: ["1", "2"] }] };
    const patch = { tolerations: [{ key: "b" }], containers: [{ name: "a", args: ["3"] }] };
    expect(patchSpec(document, patch)).toEqual({
      tolerations: [{ key: "b" }],
      containers: [{ name: "a", args: ["3"] }],
    });
  });

  test("applyStrategicMergePatch: null deletes, and does not arrive in new values", () => {
    const document = { metadata: { labels: { a: "1", b: "2" }, name: "x" } };
    const patch = { metadata: { labels: { a: null }, name: null, annotations: { c: null } } };
    expect(patchPod(document, patch)).toEqual({
      metadata: { labels: { b: "2" }, annotations: {} },
    });
  });

  test("applyStrategicMergePatch: merges lists of scalars without repeating any", () => {
    const document = { metadata: { finalizers: ["a", "b"] } };
    expect(patchPod(document, { metadata: { finalizers: ["b", "c"] } })).toEqual({
      metadata: { finalizers: ["a", "b", "c"] },
    });
  });

  test("applyStrategicMergePatch: $deleteFromPrimitiveList takes scalars out", () => {
    const document = { metadata: { finalizers: ["a", "b", "a"] } };
    const patch = { metadata: { "$deleteFromPrimitiveList/finalizers": ["a", "z"] } };
    expect(patchPod(document, patch)).toEqual({ metadata: { finalizers: ["b"] } });
    expect(patchPod({ metadata: {} }, patch)).toEqual({ metadata: {} });
  });

  test("applyStrategicMergePatch: $setElementOrder orders a merged list", () => {
    const document = { containers: [{ name: "a" }, { name: "b" }, { name: "c" }] };
    const patch = {
      "$setElementOrder/containers": [{ name: "c" }, { name: "n" }, { name: "a" }],
      containers: [
        { name: "n", image: "i" },
        { name: "b", $patch: "delete" },
      ],
    };
    expect(patchSpec(document, patch)).toEqual({
      containers: [{ name: "c" }, { name: "n", image: "i" }, { name: "a" }],
    });
  });

  test("applyStrategicMergePatch: $setElementOrder orders without a change of items", () => {
    const document = { containers: [{ name: "a" }, { name: "x" }, { name: "b" }] };
    const patch = { "$setElementOrder/containers": [{ name: "b" }, { name: "a" }] };
    expect(patchSpec(document, patch)).toEqual({
      containers: [{ name: "x" }, { name: "b" }, { name: "a" }],
    });
    expect(patchSpec({}, patch)).toEqual({});
  });

  test("applyStrategicMergePatch: $setElementOrder orders lists of scalars", () => {
    const document = { metadata: { finalizers: ["a", "live", "b"] } };
    const patch = {
      metadata: { "$setElementOrder/finalizers": ["b", "c", "a"], finalizers: ["c"] },
    };
    expect(patchPod(document, patch)).toEqual({
      metadata: { finalizers: ["live", "b", "c", "a"] },
    });
  });

  test("applyStrategicMergePatch: refuses a list that contradicts its own order", () => {
    const patch = {
      "$setElementOrder/containers": [{ name: "a" }, { name: "b" }],
      containers: [{ name: "b" }, { name: "a" }],
    };
    expect(() => patchSpec({ containers: [] }, patch)).toThrow("The order in patch list");
    const unlisted = { "$setElementOrder/containers": [], containers: [{ name: "b" }] };
    expect(() => patchSpec({}, unlisted)).toThrow("doesn't match $setElementOrder/containers");
  });

  test("applyStrategicMergePatch: $patch delete removes items, and empties an object", () => {
    const document = {
      containers: [{ name: "a" }, { name: "b" }],
      securityContext: { runAsUser: 1 },
    };
    const patch = {
      containers: [{ name: "a", $patch: "delete" }],
      securityContext: { $patch: "delete" },
    };
    expect(patchSpec(document, patch)).toEqual({
      containers: [{ name: "b" }],
      securityContext: {},
    });
    expect(patchSpec({}, { containers: [{ name: "a", $patch: "delete" }] })).toEqual({
      containers: [],
    });
  });

  test("applyStrategicMergePatch: $patch replace replaces a list, an item or an object", () => {
    const document = { containers: [{ name: "a", image: "x" }], securityContext: { runAsUser: 1 } };
    expect(
      patchSpec(document, {
        containers: [{ $patch: "replace" }, { name: "b" }],
        securityContext: { $patch: "replace", runAsGroup: 2 },
      }),
    ).toEqual({ containers: [{ name: "b" }], securityContext: { runAsGroup: 2 } });
    expect(patchSpec(document, { containers: [{ $patch: "replace" }] })).toMatchObject({
      containers: [],
    });
  });

  test("applyStrategicMergePatch: $retainKeys drops what it does not name", () => {
    const schema = schemas("apps.v1.Deployment");
    const document = { spec: { strategy: { type: "RollingUpdate", rollingUpdate: {} } } };
    const patch = { spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } } };
    expect(applyStrategicMergePatch(schema, document, patch)).toEqual({
      spec: { strategy: { type: "Recreate" } },
    });
    const unlisted = { spec: { strategy: { $retainKeys: ["type"], rollingUpdate: {} } } };
    expect(() => applyStrategicMergePatch(schema, document, unlisted)).toThrow("$retainKeys");
  });

  test("applyStrategicMergePatch: $retainKeys swaps the source of a volume", () => {
    const document = { volumes: [{ name: "v", emptyDir: {} }] };
    const patch = {
      volumes: [{ $retainKeys: ["name", "configMap"], name: "v", configMap: { name: "c" } }],
    };
    expect(patchSpec(document, patch)).toEqual({
      volumes: [{ name: "v", configMap: { name: "c" } }],
    });
  });

  test("applyStrategicMergePatch: keeps both ports that share a merge key", () => {
    const schema = schemas("core.v1.ServiceSpec");
    const ports = [
      { name: "dns", port: 53, protocol: "UDP" },
      { name: "dns-tcp", port: 53, protocol: "TCP" },
    ];
    const result = applyStrategicMergePatch(schema, { ports }, { ports: [{ port: 80 }] });
    expect(result).toEqual({ ports: [{ port: 80 }, ...ports] });
  });

  test("applyStrategicMergePatch: replaces a field whose strategy is replace", () => {
    const schema = schemas("policy.v1.PodDisruptionBudget");
    const document = { spec: { selector: { matchLabels: { a: "1" } } } };
    const patch = { spec: { selector: { matchLabels: { b: "2" } } } };
    expect(applyStrategicMergePatch(schema, document, patch)).toEqual(patch);
  });

  test("applyStrategicMergePatch: strips directives from what is new", () => {
    const patch = {
      containers: [{ name: "a", env: [{ name: "x", $patch: "delete" }], $retainKeys: ["name"] }],
      "$setElementOrder/containers": [{ name: "a" }],
    };
    expect(patchSpec({}, patch)).toEqual({ containers: [{ name: "a", env: [] }] });
  });

  test("applyStrategicMergePatch: refuses nonsense", () => {
    expect(() => patchSpec({}, [])).toThrow("a strategic merge patch is a JSON object");
    expect(() => patchSpec({}, { $patch: "explode" })).toThrow("unknown patch type: explode");
    const nameless = { containers: [{ image: "x" }] };
    expect(() => patchSpec({ containers: [{ name: "a" }] }, nameless)).toThrow(
      "does not contain declared merge key: name",
    );
    expect(() => patchPod({ metadata: {} }, { metadata: { $retainKeys: "x" } })).toThrow(
      "is a list of keys",
    );
  });

  test("applyStrategicMergePatch: leaves the document as it is", () => {
    const document = { containers: [{ name: "a", image: "x" }] };
    patchSpec(document, { containers: [{ name: "a", image: "y" }] });
    expect(document).toEqual({ containers: [{ name: "a", image: "x" }] });
  });

  test("applyStrategicMergePatch: cannot reach a prototype", () => {
    const patch: unknown = JSON.parse('{"metadata":{"labels":{"__proto__":{"polluted":"1"}}}}');
    patchPod({ metadata: { labels: { a: "b" } } }, patch);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  test("applyStrategicMergePatch: an object patched with itself stays the same", () => {
    const schema = schemas("apps.v1.Deployment");
    const object = typicalDeployment();
    expect(applyStrategicMergePatch(schema, object, object)).toEqual(object);
    expect(applyStrategicMergePatch(schema, object, {})).toEqual(object);
    expect(applyStrategicMergePatch(schema, {}, object)).toEqual(object);
  });

  test("applyStrategicMergePatch: $setElementOrder gives any order, and keeps the contents", () => {
    const random = new SeededRandom(3);
    const containers = ["a", "b", "c", "d"].map((name) => ({ name, image: name.repeat(2) }));
    for (let round = 0; round < 100; round++) {
      const keyed = containers.map((item) => ({ item, place: randomInteger(random, 1000) }));
      const order = keyed.sort((a, b) => a.place - b.place).map(({ item }) => item);
      const patch = { "$setElementOrder/containers": order.map(({ name }) => ({ name })) };
      expect(patchSpec({ containers }, patch)).toEqual({ containers: order });
    }
  });
});
