import { describe, expect, test } from "bun:test";
import * as constants from "./api-resources.ts";
import { typeTable } from "./group-versions.ts";
import { findKind, findResource, resourceDefinitions, schemaOf } from "./resource-definitions.ts";
import { definitionOf } from "./testing/kind-fixture.ts";

const NOW = Date.UTC(2026, 0, 2);

describe("resourceDefinitions", () => {
  test("resourceDefinitions: every resource is found by its plural and by its kind", () => {
    for (const definition of resourceDefinitions) {
      const { group, version, resource, kind } = definition;
      expect(findResource(group, version, resource)).toBe(definition);
      expect(findKind(group, version, kind)).toBe(definition);
    }
    expect(resourceDefinitions.length).toBeGreaterThan(60);
    expect(findResource("apps", "v1", "pods")).toBeUndefined();
  });

  test("resourceDefinitions: every kind has a schema with its metadata", () => {
    for (const { schema, kind } of resourceDefinitions) {
      expect([kind, schema.kind]).toEqual([kind, "object"]);
    }
  });

  test("schemaOf: knows every type of the tables", () => {
    for (const typeName of Object.keys(typeTable)) expect(schemaOf(typeName)).toBeDefined();
  });

  test("resourceDefinitions: an empty object of any kind passes through every function", () => {
    for (const definition of resourceDefinitions) {
      const object = { metadata: { name: "x", creationTimestamp: "2026-01-01T00:00:00Z" } };
      definition.defaults(object);
      definition.validate(object);
      definition.validateUpdate(object, structuredClone(object));
      const row = definition.row(object, NOW);
      expect([definition.kind, row.length]).toEqual([definition.kind, definition.columns.length]);
      expect(
        row.filter((cell) => cell === undefined || String(cell).includes("undefined")),
      ).toEqual([]);
      expect(definition.selectableFields(object)["metadata.name"]).toBe("x");
    }
  });

  test("resourceDefinitions: defaults are stable", () => {
    for (const definition of resourceDefinitions) {
      const object = { metadata: { name: "x" } };
      definition.defaults(object);
      const once = structuredClone(object);
      definition.defaults(object);
      expect([definition.kind, object]).toEqual([definition.kind, once]);
    }
  });

  test("resourceDefinitions: all that scales says where its replicas are", () => {
    const scaling = resourceDefinitions.filter(({ subresources }) =>
      subresources.some(({ name }) => name === "scale"),
    );
    expect(scaling.map(({ resource }) => resource).sort()).toEqual([
      "deployments",
      "replicasets",
      "replicationcontrollers",
      "statefulsets",
    ]);
    expect(scaling.every(({ scale }) => scale !== undefined)).toBe(true);
    expect(definitionOf("v1 ReplicationController").scale?.selectorForm).toBe("label-map");
  });

  test("api resources: each constant is one of the definitions, and none is missing", () => {
    const named = Object.values(constants).map(({ group, version, resource, kind, namespaced }) => {
      const definition = findResource(group, version, resource);
      expect(definition?.kind).toBe(kind);
      expect(definition?.namespaced).toBe(namespaced);
      return definition;
    });
    const listed = resourceDefinitions.filter(({ verbs }) => verbs.includes("list"));
    expect(new Set(named)).toEqual(new Set(listed));
  });
});
