import { describe, expect, test } from "bun:test";
import { compileTypes } from "./compile-types.ts";
import { decodeInto, prune } from "./decode.ts";
import type { JsonObject } from "./json-value.ts";
import { schemaFromOpenApi } from "./schema-from-openapi.ts";
import { loadSchemas } from "./testing/api-types.ts";
import { typicalDeployment } from "./testing/deployment.ts";

const schemas = loadSchemas();
const DEPLOYMENT = schemas("apps.v1.Deployment");
const POD = schemas("core.v1.Pod");
const SECRET = schemas("core.v1.Secret");
const SERVICE = schemas("core.v1.Service");

function refusal(name: string, value: unknown): string {
  try {
    decodeInto(schemas(name), value);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "accepted";
}

function container(fields: JsonObject): JsonObject {
  return { spec: { containers: [{ name: "a", ...fields }] } };
}

describe("decodeInto", () => {
  test("decodeInto: leaves a good object as it is", () => {
    const object = typicalDeployment();
    expect(decodeInto(DEPLOYMENT, object)).toEqual([]);
    expect(object).toEqual(typicalDeployment());
  });

  test("decodeInto: drops unknown fields and names each with its path", () => {
    const object = container({ imag: "x", ports: [{ containerPort: 1, prot: "TCP" }] });
    object["foo"] = 1;
    expect(decodeInto(POD, object)).toEqual([
      'unknown field "spec.containers[0].imag"',
      'unknown field "spec.containers[0].ports[0].prot"',
      'unknown field "foo"',
    ]);
    expect(object).toEqual(container({ ports: [{ containerPort: 1 }] }));
  });

  test("decodeInto: names a hundred unknown fields at most and drops all of them", () => {
    const spec = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`x${index}`, 1]));
    const object = { spec };
    expect(decodeInto(POD, object)).toHaveLength(100);
    expect(object).toEqual({ spec: {} });
  });

  test("decodeInto: does not take a field for known because every object has it", () => {
    const object = JSON.parse('{"spec":{"constructor":{},"__proto__":{"x":1},"toString":1}}');
    expect(decodeInto(POD, object)).toHaveLength(3);
    expect(Object.keys(object.spec)).toEqual([]);
  });

  test("decodeInto: keeps map keys that have names of JavaScript's own", () => {
    const text = '{"data":{"__proto__":"eA==","constructor":"eQ=="}}';
    const object = JSON.parse(text);
    decodeInto(SECRET, object);
    expect(JSON.stringify(object)).toBe(text);
  });

  test("decodeInto: drops nulls of fields, and zeroes those in maps and lists", () => {
    const object: JsonObject = {
      metadata: { creationTimestamp: null, labels: { a: null } },
      spec: { containers: [null], nodeName: null },
    };
    decodeInto(POD, object);
    expect(object).toEqual({
      metadata: { labels: { a: "" } },
      spec: { containers: [{}] },
    });
  });

  test("decodeInto: writes quantities canonically, numbers too", () => {
    const object = container({ resources: { limits: { cpu: "1000m", memory: "1024Mi", x: 1.5 } } });
    decodeInto(POD, object);
    expect(object).toEqual(
      container({ resources: { limits: { cpu: "1", memory: "1Gi", x: "1500m" } } }),
    );
  });

  test("decodeInto: writes times in UTC, with the precision of their type", () => {
    const lease = {
      metadata: { creationTimestamp: "2026-01-02T05:04:05.999+02:00" },
      spec: { renewTime: "2026-01-02T03:04:05.5Z" },
    };
    decodeInto(schemas("coordination.v1.Lease"), lease);
    expect(lease.metadata.creationTimestamp).toBe("2026-01-02T03:04:05Z");
    expect(lease.spec.renewTime).toBe("2026-01-02T03:04:05.500000Z");
  });

  test("decodeInto: reports a wrong type in the words of Go's decoder", () => {
    expect(refusal("apps.v1.Deployment", { spec: { replicas: "3" } })).toBe(
      "json: cannot unmarshal string into Go struct field " +
        "DeploymentSpec.spec.replicas of type int32",
    );
    expect(refusal("core.v1.Pod", container({ image: 5 }))).toBe(
      "json: cannot unmarshal number into Go struct field " +
        "Container.spec.containers.image of type string",
    );
    expect(refusal("core.v1.Pod", container({ args: "x" }))).toBe(
      "json: cannot unmarshal string into Go struct field " +
        "Container.spec.containers.args of type []string",
    );
    expect(refusal("core.v1.Pod", { spec: { containers: {} } })).toBe(
      "json: cannot unmarshal object into Go struct field " +
        "PodSpec.spec.containers of type []v1.Container",
    );
    expect(refusal("core.v1.Pod", { spec: [] })).toBe(
      "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
    );
    expect(refusal("core.v1.Pod", container({ stdin: "true" }))).toContain("of type bool");
  });

  test("decodeInto: leaves map keys out of Go's field path", () => {
    expect(refusal("core.v1.ConfigMap", { data: { a: 1 } })).toBe(
      "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
    );
    expect(refusal("core.v1.Pod", { metadata: { labels: { x: true } } })).toBe(
      "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
    );
    expect(refusal("core.v1.Pod", { metadata: { labels: "x" } })).toContain(
      "of type map[string]string",
    );
  });

  test("decodeInto: refuses a body that is no object", () => {
    expect(refusal("core.v1.Pod", [])).toBe(
      "json: cannot unmarshal array into Go value of type v1.Pod",
    );
  });

  test("decodeInto: holds integers to their size", () => {
    expect(refusal("apps.v1.Deployment", { spec: { replicas: 1.5 } })).toContain(
      "cannot unmarshal number 1.5 into",
    );
    expect(refusal("apps.v1.Deployment", { spec: { replicas: 2 ** 31 } })).toContain("int32");
    expect(refusal("core.v1.Pod", { spec: { activeDeadlineSeconds: 2 ** 40 } })).toBe("accepted");
    expect(refusal("core.v1.Pod", { spec: { activeDeadlineSeconds: 1e30 } })).toContain("int64");
  });

  test("decodeInto: takes an integer or a string where either is meant", () => {
    const ports = [{ port: 80, targetPort: "http" }];
    expect(decodeInto(SERVICE, { spec: { ports } })).toEqual([]);
    expect(decodeInto(SERVICE, { spec: { ports: [{ port: 80, targetPort: 8080 }] } })).toEqual([]);
    expect(refusal("core.v1.Service", { spec: { ports: [{ targetPort: true }] } })).toBe(
      "json: cannot unmarshal bool into Go value of type int32",
    );
  });

  test("decodeInto: wants base64 where bytes are meant, and forgives line breaks", () => {
    const secret = { data: { a: "aGVs\nbG8=" } };
    decodeInto(SECRET, secret);
    expect(secret.data.a).toBe("aGVsbG8=");
    expect(refusal("core.v1.Secret", { data: { a: "h?llo" } })).toBe(
      "illegal base64 data at input byte 1",
    );
    expect(refusal("core.v1.Secret", { data: { a: "abc" } })).toStartWith("illegal base64 data");
  });

  test("decodeInto: refuses malformed times and quantities", () => {
    expect(refusal("core.v1.Pod", { metadata: { creationTimestamp: "soon" } })).toBe(
      'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
    );
    expect(refusal("core.v1.Pod", container({ resources: { limits: { cpu: "lots" } } }))).toContain(
      "quantities must match the regular expression",
    );
    expect(refusal("core.v1.Pod", { metadata: { creationTimestamp: 5 } })).toBe(
      "json: cannot unmarshal number into Go value of type string",
    );
  });

  test("decodeInto: an empty time is an absent one", () => {
    const object: JsonObject = { metadata: { creationTimestamp: "" } };
    decodeInto(POD, object);
    expect(object).toEqual({ metadata: {} });
  });
});

describe("compileTypes", () => {
  test("compileTypes: a type may contain itself", () => {
    const node = compileTypes({ Node: { fields: { name: "string", children: "[Node]" } } });
    const tree = { name: "a", children: [{ name: "b", children: [{ x: 1 }] }] };
    expect(decodeInto(node("Node"), tree)).toEqual(['unknown field "children[0].children[0].x"']);
  });

  test("compileTypes: gives the same schema each time", () => {
    expect(schemas("core.v1.PodSpec")).toBe(schemas("core.v1.PodSpec"));
  });

  test("compileTypes: knows every type of the served tables", () => {
    for (const name of ["core.v1.NodeList", "apis.meta.v1.Status", "policy.v1.Eviction"]) {
      expect(schemas(name).kind).toBe("object");
    }
    expect(() => schemas("core.v1.Nothing")).toThrow("not in the table");
  });

  test("compileTypes: carries how lists merge", () => {
    const spec = schemas("core.v1.PodSpec");
    const volumes = spec.kind === "object" ? spec.fields.get("volumes") : undefined;
    expect(volumes?.patch).toEqual({
      merge: true,
      retainKeys: true,
      replace: false,
      mergeKey: "name",
    });
    expect(volumes?.schema).toMatchObject({ kind: "list", listType: "map", mapKeys: ["name"] });
  });
});

describe("custom resources", () => {
  const custom = schemaFromOpenApi(
    {
      type: "object",
      properties: {
        spec: {
          type: "object",
          properties: {
            size: { type: "integer" },
            free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
            labels: { type: "object", additionalProperties: { type: "string" } },
            note: { type: "string", nullable: true, default: "x" },
            mode: { type: "string", default: "fast" },
          },
        },
      },
    },
    { objectMeta: schemas("apis.meta.v1.ObjectMeta") },
  );

  test("decodeInto: prunes a custom resource but leaves types to checkSchema", () => {
    const object: JsonObject = {
      apiVersion: "x/v1",
      kind: "X",
      metadata: { name: "a" },
      spec: { size: "big", free: { a: { b: 1 } }, labels: { k: "v" }, y: 1 },
    };
    expect(decodeInto(custom, object)).toEqual(['unknown field "spec.y"']);
    expect(object["spec"]).toEqual({
      size: "big",
      free: { a: { b: 1 } },
      labels: { k: "v" },
    });
  });

  test("decodeInto: checks the metadata of a custom resource like any other", () => {
    expect(() => decodeInto(custom, { metadata: { labels: { a: 1 } } })).toThrow(
      "Go struct field ObjectMeta.metadata.labels of type string",
    );
  });

  test("decodeInto: a null stays where null is a value, and yields to a default", () => {
    const object: JsonObject = { spec: { note: null, mode: null, size: null } };
    decodeInto(custom, object);
    expect(object).toEqual({ spec: { note: null, size: null } });
  });

  test("prune: drops what the schema does not know", () => {
    const object: JsonObject = { spec: { free: { a: 1 }, nope: 1 }, other: {} };
    prune(custom, object);
    expect(object).toEqual({ spec: { free: { a: 1 } } });
  });
});
