import { describe, expect, test } from "bun:test";
import { complaints, definitionOf, updateComplaints } from "../../testing/kind-fixture.ts";

const metadata = { name: "x", namespace: "default" };

describe("validateObjectMeta", () => {
  test("validateObjectMeta: an object needs a name, or the start of one", () => {
    expect(complaints("v1 ConfigMap", { metadata: { namespace: "default" } })).toEqual([
      "metadata.name: Required value: name or generateName is required",
    ]);
  });

  test("validateObjectMeta: names follow the rule of their kind", () => {
    const named = (name: string) => ({ metadata: { name, namespace: "default" } });
    expect(complaints("v1 ConfigMap", named("a.b"))).toEqual([]);
    expect(complaints("v1 ConfigMap", named("A"))[0]).toStartWith(
      'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of',
    );
    const service = { ...named("1a"), spec: { ports: [{ port: 80 }] } };
    expect(complaints("v1 Service", service)[0]).toStartWith(
      'metadata.name: Invalid value: "1a": a DNS-1035 label must consist of',
    );
    const role = { ...named("system:node/x"), rules: [] };
    expect(complaints("rbac.authorization.k8s.io/v1 Role", role)).toEqual([
      "metadata.name: Invalid value: \"system:node/x\": may not contain '/'",
    ]);
    expect(complaints("v1 Namespace", { metadata: { name: "a.b" } })[0]).toContain(
      "RFC 1123 label",
    );
  });

  test("validateObjectMeta: generateName may end in a dash", () => {
    const fields = { metadata: { generateName: "web-", name: "web-x", namespace: "default" } };
    expect(complaints("v1 ConfigMap", fields)).toEqual([]);
  });

  test("validateObjectMeta: a namespace is given where it belongs, and nowhere else", () => {
    expect(complaints("v1 ConfigMap", { metadata: { name: "x" } })).toEqual([
      "metadata.namespace: Required value",
    ]);
    expect(complaints("v1 Namespace", { metadata })).toEqual([
      "metadata.namespace: Forbidden: not allowed on this type",
    ]);
  });

  test("validateObjectMeta: labels and annotations have well-formed keys and sizes", () => {
    const bad = { ...metadata, labels: { "a b": "-" }, annotations: { "/": "" } };
    const found = complaints("v1 ConfigMap", { metadata: bad });
    expect(found.map((text) => text.slice(0, 40))).toEqual([
      'metadata.labels: Invalid value: "a b": n',
      'metadata.labels: Invalid value: "-": a v',
      'metadata.annotations: Invalid value: "/"',
      'metadata.annotations: Invalid value: "/"',
      'metadata.annotations: Invalid value: "/"',
    ]);
    const large = { ...metadata, annotations: { a: "x".repeat(256 * 1024) } };
    expect(complaints("v1 ConfigMap", { metadata: large })).toEqual([
      "metadata.annotations: Too long: may not be more than 262144 bytes",
    ]);
  });

  test("validateObjectMeta: one owner at most is the controller", () => {
    const owner = { apiVersion: "v1", kind: "Pod", name: "a", uid: "1", controller: true };
    const ownerReferences = [owner, { ...owner, name: "b", uid: "2" }];
    expect(complaints("v1 ConfigMap", { metadata: { ...metadata, ownerReferences } })[0]).toEndWith(
      "Only one reference can have Controller set to true. " +
        'Found "true" in references for Pod/a and Pod/b',
    );
    const incomplete = [{ apiVersion: "v1", kind: "Pod", name: "a" }];
    const found = complaints("v1 ConfigMap", {
      metadata: { ...metadata, ownerReferences: incomplete },
    });
    expect(found).toEqual(['metadata.ownerReferences.uid: Invalid value: "": must not be empty']);
  });
});

describe("validateObjectMetaUpdate", () => {
  test("validateObjectMetaUpdate: an object stays who it is", () => {
    const old = { metadata: { ...metadata, uid: "1" } };
    const next = { metadata: { ...metadata, uid: "2" } };
    expect(updateComplaints("v1 ConfigMap", next, old)).toEqual([
      'metadata.uid: Invalid value: "2": field is immutable',
    ]);
  });

  test("validateObjectMetaUpdate: no finalizer comes once the deletion began", () => {
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    const old = { metadata: { ...metadata, deletionTimestamp, finalizers: ["a/b"] } };
    const next = { metadata: { ...metadata, deletionTimestamp, finalizers: ["a/b", "c/d"] } };
    expect(updateComplaints("v1 ConfigMap", next, old)).toEqual([
      "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being " +
        'deleted, found new finalizers []string{"c/d"}',
    ]);
  });

  test("validateObjectMetaUpdate: a new finalizer needs a domain, one from before may stay", () => {
    const old = { metadata: { ...metadata, finalizers: ["bare"] } };
    const next = { metadata: { ...metadata, finalizers: ["bare", "orphan", "new", "a/b"] } };
    expect(updateComplaints("v1 ConfigMap", next, old)).toEqual([
      'metadata.finalizers[2]: Invalid value: "new": name is neither a standard finalizer name ' +
        "nor is it fully qualified",
    ]);
  });

  test("validateUpdate: a change without faults has none", () => {
    const definition = definitionOf("v1 ConfigMap");
    const next = { metadata: { ...metadata, labels: { a: "b" } }, data: { a: "b" } };
    expect(definition.validateUpdate(next, { metadata })).toEqual([]);
  });
});
