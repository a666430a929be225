import { describe, expect, test } from "bun:test";
import { checkSchema, MAX_SCHEMA_ERRORS } from "./check-schema.ts";
import { fieldErrorText } from "./field-error.ts";
import { FieldPath } from "./field-path.ts";
import type { JsonObject } from "./json-value.ts";
import { applySchemaDefaults } from "./schema-defaults.ts";
import { OpenApiSchemaError, schemaFromOpenApi } from "./schema-from-openapi.ts";

function errorsOf(openApi: JsonObject, value: unknown): string[] {
  const schema = schemaFromOpenApi({ type: "object", properties: { spec: openApi } });
  return checkSchema(schema, { spec: value }, FieldPath.root()).map(fieldErrorText);
}

describe("checkSchema", () => {
  test("checkSchema: an embedded object says what it is", () => {
    const embedded = { type: "object", "x-kubernetes-embedded-resource": true };
    expect(errorsOf(embedded, { metadata: {} })).toEqual([
      "spec.apiVersion: Required value: must not be empty",
      "spec.kind: Required value: must not be empty",
    ]);
    expect(errorsOf(embedded, { apiVersion: "v1", kind: "Pod" })).toEqual([]);
  });

  test("checkSchema: names the type that is wanted and the one that is there", () => {
    const cases: readonly (readonly [type: string, value: unknown, shown: string])[] = [
      ["integer", "3", "string"],
      ["integer", 1.5, "number"],
      ["string", 3, "integer"],
      ["string", null, "null"],
      ["boolean", "true", "string"],
      ["object", [], "array"],
      ["array", {}, "object"],
      ["number", "1", "string"],
    ];
    for (const [type, value, shown] of cases) {
      const detail = `spec in body must be of type ${type}: "${shown}"`;
      expect(errorsOf({ type }, value)).toEqual([`spec: Invalid value: "${shown}": ${detail}`]);
    }
  });

  test("checkSchema: wants required fields, at every level", () => {
    const openApi = {
      type: "object",
      required: ["a"],
      properties: {
        a: { type: "string" },
        list: { type: "array", items: { type: "object", required: ["b"], properties: {} } },
      },
    };
    expect(errorsOf(openApi, { list: [{ b: 1 }, {}] })).toEqual([
      "spec.a: Required value",
      "spec.list[1].b: Required value",
    ]);
  });

  test("checkSchema: holds values to OpenAPI's keywords", () => {
    const cases: readonly (readonly [JsonObject, unknown, string])[] = [
      [
        { type: "string", enum: ["a", "b"] },
        "c",
        'spec: Unsupported value: "c": supported values: "a", "b"',
      ],
      [
        { type: "string", pattern: "^[a-z]+$" },
        "A",
        "spec: Invalid value: \"A\": spec in body should match '^[a-z]+$'",
      ],
      [
        { type: "string", minLength: 3 },
        "ab",
        'spec: Invalid value: "ab": spec in body should be at least 3 chars long',
      ],
      [{ type: "string", maxLength: 1 }, "ab", "spec: Too long: may not be more than 1 byte"],
      [
        { type: "integer", minimum: 1 },
        0,
        "spec: Invalid value: 0: spec in body should be greater than or equal to 1",
      ],
      [
        { type: "integer", maximum: 1, exclusiveMaximum: true },
        1,
        "spec: Invalid value: 1: spec in body should be less than 1",
      ],
      [
        { type: "integer", multipleOf: 5 },
        7,
        "spec: Invalid value: 7: spec in body should be a multiple of 5",
      ],
      [
        { type: "array", items: {}, minItems: 1 },
        [],
        "spec: Invalid value: []: spec in body should have at least 1 items",
      ],
      [
        { type: "array", items: {}, maxItems: 1 },
        [1, 2],
        "spec: Too many: 2: must have at most 1 item",
      ],
      [
        { type: "object", additionalProperties: { type: "string" }, minProperties: 1 },
        {},
        "spec: Invalid value: {}: spec in body should have at least 1 properties",
      ],
      [
        { type: "string", format: "ipv4" },
        "x",
        'spec: Invalid value: "x": spec in body must be of type ipv4: "x"',
      ],
    ];
    for (const [openApi, value, message] of cases) {
      expect(errorsOf(openApi, value)).toEqual([message]);
    }
  });

  test("checkSchema: accepts what the keywords allow", () => {
    expect(errorsOf({ type: "string", format: "date-time" }, "2026-01-02T03:04:05Z")).toEqual([]);
    expect(errorsOf({ type: "string", format: "unheard-of" }, "x")).toEqual([]);
    expect(errorsOf({ type: "string", nullable: true }, null)).toEqual([]);
    expect(errorsOf({ "x-kubernetes-int-or-string": true }, "25%")).toEqual([]);
    expect(errorsOf({ "x-kubernetes-int-or-string": true }, 3)).toEqual([]);
    expect(errorsOf({ "x-kubernetes-int-or-string": true }, true)).toHaveLength(1);
    expect(errorsOf({}, { anything: [1] })).toEqual([]);
  });

  test("checkSchema: combines schemas", () => {
    const a = { required: ["a"] };
    const b = { required: ["b"] };
    const type = "object";
    expect(errorsOf({ type, anyOf: [a, b] }, { c: 1 })[0]).toEndWith(
      "must validate at least one schema (anyOf)",
    );
    expect(errorsOf({ type, oneOf: [a, b] }, { a: 1, b: 1 })[0]).toEndWith(
      "must validate one and only one schema (oneOf). Found 2 valid alternatives",
    );
    expect(errorsOf({ type, oneOf: [a, b] }, {})[0]).toEndWith("Found none valid");
    expect(errorsOf({ type, allOf: [a, b] }, { a: 1 })).toEqual(["spec.b: Required value"]);
    expect(errorsOf({ type, not: a }, { a: 1 })[0]).toEndWith("must not validate the schema (not)");
  });

  test("checkSchema: finds items that a set or a map list has twice", () => {
    const set = { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" };
    expect(errorsOf(set, ["a", "b", "a"])).toEqual(['spec[2]: Duplicate value: "a"']);
    const map = {
      type: "array",
      items: { type: "object", properties: { k: { type: "string" } } },
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
    };
    expect(errorsOf(map, [{ k: "a" }, { k: "b" }, { k: "a" }])).toEqual([
      'spec[2]: Duplicate value: {"k":"a"}',
    ]);
  });

  test("checkSchema: stops after many errors", () => {
    const list = { type: "array", items: { type: "string" } };
    expect(
      errorsOf(
        list,
        Array.from({ length: 500 }, () => 1),
      ),
    ).toHaveLength(MAX_SCHEMA_ERRORS);
  });
});

describe("schemaFromOpenApi", () => {
  test("schemaFromOpenApi: refuses what is no structural schema", () => {
    const wrong: unknown[] = [
      { type: "strange" },
      { type: "string", pattern: "(" },
      { type: "string", minLength: "1" },
      { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "ring" },
      { type: "object", properties: { a: 1 } },
    ];
    for (const spec of wrong) {
      const build = (): unknown => schemaFromOpenApi({ type: "object", properties: { spec } });
      expect(build).toThrow(OpenApiSchemaError);
    }
    expect(() => schemaFromOpenApi("x")).toThrow("a schema is an object");
  });

  test("schemaFromOpenApi: bounds the nesting", () => {
    let schema: JsonObject = { type: "string" };
    for (let depth = 0; depth < 200; depth++) schema = { type: "array", items: schema };
    expect(() => schemaFromOpenApi(schema)).toThrow("nested deeper than 100");
  });

  test("schemaFromOpenApi: an embedded resource knows its own kind and metadata", () => {
    const embedded = schemaFromOpenApi({
      type: "object",
      properties: { template: { type: "object", "x-kubernetes-embedded-resource": true } },
    });
    const template = embedded.kind === "object" ? embedded.fields.get("template") : undefined;
    const fields = template?.schema.kind === "object" ? template.schema.fields : new Map();
    expect([...fields.keys()]).toEqual(["apiVersion", "kind", "metadata"]);
  });
});

describe("applySchemaDefaults", () => {
  const schema = schemaFromOpenApi({
    type: "object",
    properties: {
      spec: {
        type: "object",
        default: {},
        properties: {
          size: { type: "integer", default: 3 },
          tags: { type: "array", items: { type: "string" }, default: ["x"] },
          note: { type: "string", nullable: true, default: "n" },
          parts: {
            type: "array",
            items: { type: "object", properties: { on: { type: "boolean", default: true } } },
          },
        },
      },
    },
  });

  test("applySchemaDefaults: fills in what is absent, below defaults too", () => {
    const object: JsonObject = {};
    applySchemaDefaults(schema, object);
    expect(object).toEqual({ spec: { size: 3, tags: ["x"], note: "n" } });
  });

  test("applySchemaDefaults: keeps what is there, false, zero and null where it is a value", () => {
    const object: JsonObject = {
      spec: { size: 0, note: null, tags: null, parts: [{ on: false }, {}] },
    };
    applySchemaDefaults(schema, object);
    expect(object).toEqual({
      spec: { size: 0, note: null, tags: ["x"], parts: [{ on: false }, { on: true }] },
    });
  });

  test("applySchemaDefaults: hands out copies", () => {
    const first: { spec?: { tags: string[] } } = {};
    const second: typeof first = {};
    applySchemaDefaults(schema, first);
    first.spec?.tags.push("y");
    applySchemaDefaults(schema, second);
    expect(second.spec?.tags).toEqual(["x"]);
  });
});
