import { describe, expect, test } from "bun:test";
import { fieldErrorText } from "../field-error.ts";
import { FieldPath } from "../field-path.ts";
import { schemaFromOpenApi } from "../schema-from-openapi.ts";
import { SchemaValidations } from "./schema-validations.ts";

function check(schema: unknown, value: unknown, old?: unknown): string[] {
  const rules = new SchemaValidations(schemaFromOpenApi(schema));
  return rules.check(value, old, FieldPath.root("spec")).map(fieldErrorText);
}

const integer = { type: "integer" };
const properties = { min: integer, max: integer };

describe("SchemaValidations", () => {
  test("SchemaValidations: a rule that is false says its message, or itself", () => {
    const rule = { rule: "self.min <= self.max" };
    const schema = { type: "object", properties, "x-kubernetes-validations": [rule] };
    expect(check(schema, { min: 1, max: 2 })).toEqual([]);
    expect(check(schema, { min: 3, max: 2 })).toEqual([
      'spec: Invalid value: "object": failed rule: self.min <= self.max',
    ]);
    expect(check(schema, { min: 3 })).toEqual([
      'spec: Invalid value: "object": No such key: max evaluating rule: ' +
        "failed rule: self.min <= self.max",
    ]);
    const messageExpression = "'min is ' + string(self.min)";
    const more = { ...rule, messageExpression, reason: "FieldValueForbidden", fieldPath: ".min" };
    const named = { ...schema, "x-kubernetes-validations": [more] };
    expect(check(named, { min: 3, max: 2 })).toEqual(["spec.min: Forbidden: min is 3"]);
  });

  test("SchemaValidations: transition rules hold for changes of what can be told apart", () => {
    const immutable = { rule: "self == oldSelf", message: "cannot change" };
    const value = { type: "string", "x-kubernetes-validations": [immutable] };
    const items = { type: "object", properties: { name: { type: "string" }, value } };
    const list = {
      type: "array",
      items: { ...items, required: ["name"] },
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
    };
    const schema = { type: "object", properties: { list } };
    const before = { list: [{ name: "a", value: "1" }] };
    expect(check(schema, before)).toEqual([]);
    const next = {
      list: [
        { name: "b", value: "2" },
        { name: "a", value: "3" },
      ],
    };
    expect(check(schema, next, before)).toEqual([
      'spec.list[1].value: Invalid value: "string": cannot change',
    ]);
  });

  test("SchemaValidations: an optional oldSelf makes a rule hold for creations too", () => {
    const rule = { rule: "oldSelf.hasValue() || self == 1", optionalOldSelf: true };
    const schema = { type: "integer", "x-kubernetes-validations": [rule] };
    expect(check(schema, 2)).toHaveLength(1);
    expect(check(schema, 1)).toEqual([]);
    expect(check(schema, 2, 3)).toEqual([]);
  });

  test("SchemaValidations: what stays as it was is not judged again", () => {
    const rule = { rule: "self.max > 5" };
    const schema = { type: "object", properties, "x-kubernetes-validations": [rule] };
    expect(check(schema, { max: 1 }, { max: 1 })).toEqual([]);
    expect(check(schema, { max: 2 }, { max: 1 })).toHaveLength(1);
  });
});
