import { describe, expect, test } from "bun:test";
import {
  duplicateField,
  fieldErrorText,
  forbiddenField,
  immutableField,
  invalidField,
  notFoundField,
  notSupportedField,
  requiredField,
  tooLongField,
  tooManyField,
} from "./field-error.ts";
import { FieldPath } from "./field-path.ts";

describe("FieldPath", () => {
  test("FieldPath: writes fields, indices and keys as Kubernetes does", () => {
    const path = FieldPath.root("spec").child("containers").index(0).child("resources", "limits");
    expect(String(path.key("cpu"))).toBe("spec.containers[0].resources.limits[cpu]");
  });

  test("FieldPath: is empty at the root", () => {
    expect(String(FieldPath.root())).toBe("");
    expect(String(FieldPath.root().index(2))).toBe("[2]");
  });

  test("FieldPath: stays as it is when something is built on it", () => {
    const spec = FieldPath.root("spec");
    spec.child("replicas");
    expect(String(spec)).toBe("spec");
  });
});

describe("FieldError", () => {
  const path = FieldPath.root("spec", "x");

  test("fieldErrorText: has Kubernetes' words for every type", () => {
    expect(fieldErrorText(requiredField(path))).toBe("spec.x: Required value");
    expect(fieldErrorText(requiredField(path, "why"))).toBe("spec.x: Required value: why");
    expect(fieldErrorText(invalidField(path, -1, "must be positive"))).toBe(
      "spec.x: Invalid value: -1: must be positive",
    );
    expect(fieldErrorText(notSupportedField(path, "c", ["a", "b"]))).toBe(
      'spec.x: Unsupported value: "c": supported values: "a", "b"',
    );
    expect(fieldErrorText(duplicateField(path, "a"))).toBe('spec.x: Duplicate value: "a"');
    expect(fieldErrorText(forbiddenField(path, "no"))).toBe("spec.x: Forbidden: no");
    expect(fieldErrorText(tooLongField(path, 63))).toBe(
      "spec.x: Too long: may not be more than 63 bytes",
    );
    expect(fieldErrorText(tooManyField(path, 5, 1))).toBe(
      "spec.x: Too many: 5: must have at most 1 item",
    );
    expect(fieldErrorText(notFoundField(path, "v"))).toBe('spec.x: Not found: "v"');
    expect(fieldErrorText(immutableField(path, { a: 1 }))).toBe(
      'spec.x: Invalid value: {"a":1}: field is immutable',
    );
  });

  test("fieldErrorText: quotes text like Go and shows a missing value as null", () => {
    expect(fieldErrorText(invalidField(path, 'a"\n\u0001é', "d"))).toBe(
      'spec.x: Invalid value: "a\\"\\n\\x01é": d',
    );
    expect(fieldErrorText(invalidField(path, undefined, "d"))).toBe(
      "spec.x: Invalid value: null: d",
    );
  });
});
