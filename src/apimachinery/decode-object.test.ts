import { describe, expect, test } from "bun:test";
import { decodeObject, type FieldValidation, settleObject } from "./decode-object.ts";
import { StatusError } from "./status-error.ts";
import { loadSchemas } from "./testing/api-types.ts";

const kind = { group: "apps", version: "v1", kind: "Deployment" };
const schema = loadSchemas()("apps.v1.Deployment");

function decode(body: string, fieldValidation: FieldValidation = "Strict"): unknown {
  try {
    return decodeObject(body, { kind, schema, fieldValidation, maxBytes: 1000 });
  } catch (error) {
    return error instanceof StatusError ? `${error.code} ${error.message}` : error;
  }
}

describe("decodeObject", () => {
  const body = '{"spec":{"foo":1,"replicas":1,"replicas":2}}';

  test("decodeObject: Strict refuses unknown and duplicate fields", () => {
    expect(decode(body)).toBe(
      '400 Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: ' +
        'duplicate field "spec.replicas", unknown field "spec.foo"',
    );
  });

  test("decodeObject: Warn drops them and says so, Ignore drops them silently", () => {
    const object = { metadata: {}, spec: { replicas: 2 } };
    const warnings = ['duplicate field "spec.replicas"', 'unknown field "spec.foo"'];
    expect(decode(body, "Warn")).toEqual({ object, warnings });
    expect(decode(body, "Ignore")).toEqual({ object, warnings: [] });
  });

  test("decodeObject: says which kind cannot be read", () => {
    expect(decode('{"spec":{"replicas":"3"}}')).toBe(
      '400 Deployment in version "v1" cannot be handled as a Deployment: ' +
        "json: cannot unmarshal string into Go struct field " +
        "DeploymentSpec.spec.replicas of type int32",
    );
    expect(decode("[]")).toStartWith('400 Deployment in version "v1" cannot be handled');
  });

  test("decodeObject: shows the start of what is no JSON", () => {
    expect(decode('{"a":')).toBe(
      "400 the object provided is unrecognized (must be of type Deployment): couldn't get " +
        'version/kind; json parse error: unexpected end of JSON input ({"a":)',
    );
    expect(decode("xyz")).toEndWith("looking for beginning of value (78797a)");
    expect(decode("")).toEndWith("unexpected end of JSON input (<empty>)");
  });

  test("decodeObject: refuses a body over the limit", () => {
    expect(decode(`"${"x".repeat(2000)}"`)).toBe("413 Request entity is too large: limit is 1000");
  });
});

describe("settleObject", () => {
  test("settleObject: does the same for a value that is parsed already", () => {
    const value = { metadata: null, spec: { paused: true, x: 1 } };
    const { object, warnings } = settleObject(value, { kind, schema, fieldValidation: "Warn" });
    expect(object).toEqual({ metadata: {}, spec: { paused: true } });
    expect(warnings).toEqual(['unknown field "spec.x"']);
  });
});
