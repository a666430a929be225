import { describe, expect, test } from "bun:test";
import { fileNameOf, MAX_FILE_NAME_BYTES, objectNameOf } from "./blob-name.ts";

describe("fileNameOf", () => {
  test.each([
    ["photo.jpg", "photo.jpg"],
    ["a/b", "a%2Fb"],
    ["..", "%2E."],
    [".", "%2E"],
    [".hidden", "%2Ehidden"],
    ["/etc/passwd", "%2Fetc%2Fpasswd"],
    ["", "%"],
    ["%", "%25"],
    ["%2F", "%252F"],
    ["line\nnull\0", "line%0Anull%00"],
    ["grün 🌍", "grün 🌍"],
  ])("fileNameOf writes %p as %p, and objectNameOf reads it back", (object, file) => {
    expect(fileNameOf(object)).toBe(file);
    expect(objectNameOf(file)).toBe(object);
  });

  test("fileNameOf refuses what no file can be called", () => {
    expect(fileNameOf("x".repeat(MAX_FILE_NAME_BYTES))).toBeString();
    expect(fileNameOf("x".repeat(MAX_FILE_NAME_BYTES + 1))).toBeUndefined();
    expect(fileNameOf("ü".repeat(MAX_FILE_NAME_BYTES - 100))).toBeUndefined();
  });

  test("objectNameOf knows what is no object's file", () => {
    for (const file of [".unfinished-1", "%zz", "%2f", "a%41", "%%"]) {
      expect(objectNameOf(file)).toBeUndefined();
    }
  });
});
