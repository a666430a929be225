import { describe, expect, test } from "bun:test";
import {
  maskTrailingDash,
  validateCidr,
  validateConfigMapKey,
  validateDns1035Label,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateEnvVarName,
  validateHttpHeaderName,
  validateIpAddress,
  validateLabelValue,
  validateLocalDescendingPath,
  validatePathSegmentName,
  validatePercent,
  validatePortName,
  validatePortNumber,
  validateQualifiedName,
  validateWildcardDns1123Subdomain,
} from "./names.ts";

type Validate = (text: string) => string[];

function expectRule(validate: Validate, good: readonly string[], bad: readonly string[]): void {
  for (const text of good) expect([text, validate(text)]).toEqual([text, []]);
  for (const text of bad) expect([text, validate(text).length > 0]).toEqual([text, true]);
}

describe("names", () => {
  test("validateDns1123Label: takes lower case, digits and inner dashes", () => {
    expectRule(
      validateDns1123Label,
      ["a", "0", "my-name", "123-abc", "a".repeat(63)],
      ["", "A", "-a", "a-", "a.b", "a_b", "a\n", "é", "a".repeat(64)],
    );
    expect(validateDns1123Label("A")).toEqual([
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
        "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', " +
        "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ]);
    expect(validateDns1123Label("a".repeat(64))).toEqual(["must be no more than 63 bytes"]);
  });

  test("validateDns1123Subdomain: takes labels joined by dots", () => {
    expectRule(
      validateDns1123Subdomain,
      ["a.b-c.d", "example.com", "a".repeat(253)],
      ["", ".", "a..b", "a.-b", "A.b", "a".repeat(254)],
    );
    expect(validateDns1123Subdomain("Foo")).toEqual([
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, " +
        "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', " +
        "regex used for validation is " +
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ]);
  });

  test("validateDns1035Label: starts with a letter", () => {
    expectRule(validateDns1035Label, ["a1", "my-name"], ["", "1a", "A", "a.b", "a-"]);
  });

  test("validateWildcardDns1123Subdomain: wants the wildcard in front, and alone", () => {
    expectRule(
      validateWildcardDns1123Subdomain,
      ["*.example.com", "*.com"],
      ["*", "*.", "a.*.com", "example.com", "**.com"],
    );
  });

  test("validateQualifiedName: takes a name with an optional DNS prefix", () => {
    expectRule(
      validateQualifiedName,
      ["app", "a_b.C-d", "example.com/MyName", "kubernetes.io/x"],
      ["", "/a", "a/", "a/b/c", "-a", "a b", "Ex.com/a", "a".repeat(64)],
    );
    expect(validateQualifiedName("/a")).toEqual(["prefix part must be non-empty"]);
    expect(validateQualifiedName("a b")[0]).toStartWith(
      "name part must consist of alphanumeric characters, '-', '_' or '.'",
    );
    expect(validateQualifiedName("a/b/c")[0]).toEndWith(
      "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    );
  });

  test("validateLabelValue: may be empty", () => {
    expectRule(validateLabelValue, ["", "a", "A_b.c-1"], ["-", "a b", "a/b", "a".repeat(64)]);
  });

  test("validatePortName: is an IANA service name", () => {
    expectRule(validatePortName, ["http", "a-1", "1a"], ["", "HTTP", "1", "a--b", "-a", "a-"]);
    expect(validatePortName("a".repeat(16))).toEqual(["must be no more than 15 bytes"]);
    expect(validatePortName("12")).toEqual(["must contain at least one letter (a-z)"]);
  });

  test("validatePortNumber: is 1 to 65535", () => {
    expect(validatePortNumber(1)).toEqual([]);
    expect(validatePortNumber(65_535)).toEqual([]);
    expect(validatePortNumber(0)).toEqual(["must be between 1 and 65535, inclusive"]);
    expect(validatePortNumber(65_536)).toHaveLength(1);
  });

  test("validateEnvVarName: takes printable ASCII but the equals sign", () => {
    expectRule(validateEnvVarName, ["A", "a.b-c", "1 x", "~"], ["", "a=b", "é", "a\tb"]);
  });

  test("validateConfigMapKey: is a file name that stays in its directory", () => {
    expectRule(validateConfigMapKey, ["a", ".hidden", "KEY_1.x"], ["", ".", "..", "..a", "a/b"]);
    expect(validateConfigMapKey("..a")).toEqual(["must not start with '..'"]);
  });

  test("validateHttpHeaderName, validatePercent: say their rule", () => {
    expectRule(validateHttpHeaderName, ["X-A"], ["", "a b", "a:"]);
    expectRule(validatePercent, ["0%", "25%", "200%"], ["", "%", "25", "-1%", "1.5%"]);
  });

  test("validateIpAddress: takes both families and no leading zeros", () => {
    expectRule(
      validateIpAddress,
      ["10.9.8.7", "0.0.0.0", "::", "::1", "2001:db8::ffff", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"],
      ["", "10.9.8", "010.1.1.1", "256.1.1.1", "1.2.3.4.5", ":::", "1::2::3", "12345::", "::1%lo"],
    );
    expect(validateIpAddress("1:2:3:4:5:6:7")).toHaveLength(1);
    expect(validateIpAddress("1:2:3:4:5:6:7:8::")).toHaveLength(1);
  });

  test("validateCidr: takes an address and a prefix length", () => {
    expectRule(
      validateCidr,
      ["10.0.0.0/8", "10.1.2.3/32", "::/0", "2001:db8::/64"],
      ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "::/129", "/8"],
    );
  });

  test("validatePathSegmentName: refuses what would change a path", () => {
    expectRule(validatePathSegmentName, ["system:node", "a.b"], [".", "..", "a/b", "a%2f"]);
  });

  test("validateLocalDescendingPath: stays below its root", () => {
    expectRule(validateLocalDescendingPath, ["a", "a/b", "..a"], ["/a", "..", "a/../b"]);
  });

  test("maskTrailingDash: makes a prefix checkable as a name", () => {
    expect(maskTrailingDash("web-")).toBe("wea");
    expect(maskTrailingDash("web")).toBe("web");
    expect(maskTrailingDash("-")).toBe("-");
  });
});
