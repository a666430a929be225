import { describe, expect, test } from "bun:test";
import { JsonPath, JsonPathError } from "./json-path.ts";

const object = {
  metadata: { labels: { "app.kubernetes.io/name": "web" } },
  spec: { replicas: 3, ports: [{ port: 80 }, { port: 443, name: "https" }] },
  status: { conditions: [{ type: "Ready", status: "True" }] },
};

describe("JsonPath", () => {
  test.each([
    [".spec.replicas", [3]],
    [".spec.ports[1].port", [443]],
    [".spec.ports[-1].name", ["https"]],
    [".spec.ports[*].port", [80, 443]],
    [".spec.ports[0:1].port", [80]],
    [".spec.ports[?(@.port > 80)].name", ["https"]],
    [".spec.ports[?(@.name)].port", [443]],
    ['.status.conditions[?(@.type=="Ready")].status', ["True"]],
    [".status.conditions[?(@.type == 'Ready')].status", ["True"]],
    [".metadata.labels.app\\.kubernetes\\.io/name", ["web"]],
    [".metadata.labels['app\\.kubernetes\\.io/name']", ["web"]],
    [".spec.missing.deeper", []],
    [".spec.constructor", []],
    [".", [object]],
  ])("JsonPath: %s finds what it names", (path, found) => {
    expect(JsonPath.parse(path).find(object)).toEqual(found);
  });

  test("JsonPath: a path of fields is a list of names", () => {
    expect(JsonPath.parse(".spec.replicas").fieldNames).toEqual(["spec", "replicas"]);
    expect(JsonPath.parse(".spec.ports[0]").fieldNames).toBeUndefined();
  });

  test.each(["spec", ".spec[", ".spec..x", ".a[?(x)]", ".a[?(@.b ~ 1)]", ".a b", ".a[b]"])(
    "JsonPath: %s is refused",
    (path) => {
      expect(() => JsonPath.parse(path)).toThrow(JsonPathError);
    },
  );
});
