import { describe, expect, test } from "bun:test";
import { complaints, updateComplaints } from "../../testing/kind-fixture.ts";

const CRD = "apiextensions.k8s.io/v1 CustomResourceDefinition";
const AT = "spec.versions[0].schema.openAPIV3Schema";

type Fields = Readonly<Record<string, unknown>>;

function crd({ version, spec, metadata }: Record<string, Fields> = {}): Fields {
  const names = { plural: "tabs", kind: "Tab" };
  const schema = { openAPIV3Schema: { type: "object" } };
  return {
    metadata: { name: "tabs.example.com", ...metadata },
    spec: {
      group: "example.com",
      scope: "Cluster",
      names,
      versions: [{ name: "v1", served: true, storage: true, schema, ...version }],
      ...spec,
    },
  };
}

function schemaComplaints(properties: Fields): string[] {
  const schema = { openAPIV3Schema: { type: "object", properties } };
  return complaints(CRD, crd({ version: { schema } }));
}

describe("CustomResourceDefinition", () => {
  test("CustomResourceDefinition: a small one is valid", () => {
    expect(complaints(CRD, crd())).toEqual([]);
  });

  test("CustomResourceDefinition: names, groups and versions follow their rules", () => {
    expect(complaints(CRD, crd({ metadata: { name: "x" } }))).toEqual([
      'metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group',
    ]);
    expect(complaints(CRD, crd({ version: { storage: false } }))).toEqual([
      'spec.versions: Invalid value: ["v1"]: must have exactly one version marked as ' +
        "storage version",
    ]);
    const kind = { plural: "tabs", kind: "Tab", listKind: "Tab" };
    expect(complaints(CRD, crd({ spec: { names: kind } }))).toEqual([
      'spec.names.listKind: Invalid value: "Tab": kind and listKind may not be the same',
    ]);
    const name = "tabs.x.k8s.io";
    const [unapproved] = complaints(CRD, crd({ metadata: { name }, spec: { group: "x.k8s.io" } }));
    expect(unapproved).toStartWith(
      "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must",
    );
  });

  test("CustomResourceDefinition: columns and scale say where values are", () => {
    const column = { name: "A", type: "text", jsonPath: ".spec..x" };
    expect(complaints(CRD, crd({ version: { additionalPrinterColumns: [column] } }))).toEqual([
      "spec.versions[0].additionalPrinterColumns[0].type: Invalid value: " +
        '"text": must be one of boolean,date,integer,number,string',
      "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: " +
        '".spec..x": is an invalid path: recursive descent is not supported',
    ]);
    const scale = { specReplicasPath: ".status.x", statusReplicasPath: ".status.replicas" };
    expect(complaints(CRD, crd({ version: { subresources: { scale } } }))).toEqual([
      "spec.versions[0].subresources.scale.specReplicasPath: Invalid value: " +
        '".status.x": should be a json path under .spec',
    ]);
  });

  test("CustomResourceDefinition: lists that are maps have keys that all items have", () => {
    const items = { type: "object", properties: { name: { type: "string" } } };
    const map = { type: "array", items, "x-kubernetes-list-type": "map" };
    expect(schemaComplaints({ a: map })).toEqual([
      `${AT}.properties[a].x-kubernetes-list-map-keys: Required value: ` +
        "must not be empty if x-kubernetes-list-type is map",
    ]);
    const keyed = { ...map, "x-kubernetes-list-map-keys": ["name"] };
    expect(schemaComplaints({ a: keyed })).toEqual([
      `${AT}.properties[a].items.properties[name].default: Required value: this property is in ` +
        "x-kubernetes-list-map-keys, so it must have a default or be a required property",
    ]);
    expect(schemaComplaints({ a: { ...keyed, items: { ...items, required: ["name"] } } })).toEqual(
      [],
    );
  });

  test("CustomResourceDefinition: rules and patterns are expressions", () => {
    const rule = { rule: "self >" };
    expect(
      schemaComplaints({ a: { type: "integer", "x-kubernetes-validations": [rule] } }),
    ).toEqual([
      `${AT}.properties[a].x-kubernetes-validations[0].rule: Invalid value: "self >": ` +
        "compilation failed: ERROR: <input>: Unexpected token: EOF",
    ]);
    expect(schemaComplaints({ a: { type: "string", pattern: "a(" } })).toEqual([
      `${AT}.properties[a].pattern: Invalid value: "a(": must be a valid regular expression, ` +
        "but isn't: error parsing regexp: missing closing ): `a(`",
    ]);
  });

  test("CustomResourceDefinition: what is served keeps its scope, kind and stored versions", () => {
    const status = { conditions: [{ type: "Established", status: "True" }] };
    const old = { ...crd(), status };
    const next = { ...crd({ spec: { scope: "Namespaced" } }), status };
    expect(updateComplaints(CRD, next, old)).toEqual([
      'spec.scope: Invalid value: "Namespaced": field is immutable',
    ]);
    const [gone] = updateComplaints(CRD, { ...crd(), status: { storedVersions: ["v0"] } }, old);
    expect(gone).toStartWith('status.storedVersions[0]: Invalid value: "v0": missing from spec');
  });
});
