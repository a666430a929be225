import { describe, expect, test } from "bun:test";
import { canonicalQuantity, parseQuantity, Quantity } from "./quantity.ts";

describe("Quantity", () => {
  test("canonicalQuantity: drops fractions and takes the largest suffix", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["0", "0"],
      ["-0", "0"],
      ["0m", "0"],
      ["1000m", "1"],
      ["1500m", "1500m"],
      ["0.5", "500m"],
      [".5", "500m"],
      ["1.", "1"],
      ["+1", "1"],
      ["-1.5", "-1500m"],
      ["100", "100"],
      ["1000", "1k"],
      ["1234", "1234"],
      ["1500000", "1500k"],
      ["0.1n", "1n"],
      ["1Gi", "1Gi"],
      ["1024Mi", "1Gi"],
      ["1.5Gi", "1536Mi"],
      ["0.5Mi", "512Ki"],
      ["0.5Ki", "512"],
      ["1000Ki", "1000Ki"],
      ["1e3", "1e3"],
      ["1E3", "1e3"],
      ["12e6", "12e6"],
      ["1e-3", "1e-3"],
      ["100e0", "100"],
      ["1E", "1E"],
      ["9223372036854775808", "9223372036854775807"],
      ["100E", "9223372036854775807"],
      ["007", "7"],
    ];
    for (const [text, canonical] of cases) {
      expect([text, canonicalQuantity(text)]).toEqual([text, canonical]);
    }
  });

  test("canonicalQuantity: is idempotent, and its short cut agrees with the long way", () => {
    for (const text of ["1", "999", "100m", "1Ki", "512Mi", "3E", "20k", "0"]) {
      expect(canonicalQuantity(text)).toBe(parseQuantity(text).toString());
      expect(canonicalQuantity(canonicalQuantity(text))).toBe(canonicalQuantity(text));
    }
  });

  test("parseQuantity: refuses what is no quantity", () => {
    for (const text of ["", "m", "1 Gi", "1K", "1kk", "abc", "1.2.3", "--1", "1e", "1e9999", "."]) {
      expect(() => parseQuantity(text)).toThrow(/quantit|numeric/);
    }
    expect(() => parseQuantity("1x")).toThrow(
      "quantities must match the regular expression " +
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
    expect(() => parseQuantity("1K")).toThrow("unable to parse quantity's suffix");
  });

  test("Quantity: compares and adds across formats", () => {
    expect(parseQuantity("1Gi").compare(parseQuantity("1G"))).toBe(1);
    expect(parseQuantity("1000m").compare(parseQuantity("1"))).toBe(0);
    expect(parseQuantity("1").compare(parseQuantity("2"))).toBe(-1);
    expect(String(parseQuantity("1Gi").add(parseQuantity("512Mi")))).toBe("1536Mi");
    expect(String(parseQuantity("2").sub(parseQuantity("500m")))).toBe("1500m");
    expect(String(Quantity.zero.add(parseQuantity("1Ki")))).toBe("1Ki");
  });

  test("Quantity: value and milliValue round away from zero", () => {
    expect(parseQuantity("1001m").value()).toBe(2);
    expect(parseQuantity("-1001m").value()).toBe(-2);
    expect(parseQuantity("1n").milliValue()).toBe(1);
    expect(parseQuantity("1.5").milliValue()).toBe(1500);
    expect(parseQuantity("128Mi").value()).toBe(134_217_728);
  });

  test("Quantity: is made from whole numbers and thousandths", () => {
    expect(String(Quantity.ofMilli(2500))).toBe("2500m");
    expect(String(Quantity.ofValue(1 << 30, "BinarySI"))).toBe("1Gi");
    expect(JSON.stringify({ cpu: Quantity.ofValue(2) })).toBe('{"cpu":"2"}');
  });
});
