import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { DecodeError } from "./byte-codec.ts";
import type { Command } from "./command.ts";
import { decodeCommands, encodeCommands } from "./command-codec.ts";
import type { LeaseId, Revision } from "./model.ts";

const value = new Uint8Array([0, 255, 1]);
const commands: Command[] = [
  { type: "create", key: "/a/ü\u{10ffff}", value },
  { type: "create", key: "k".repeat(300), value: new Uint8Array(), lease: 130 as LeaseId },
  { type: "update", key: "/a", value, expected: Number.MAX_SAFE_INTEGER as Revision },
  { type: "update", key: "/a", value, expected: 127 as Revision, lease: 1 as LeaseId },
  { type: "delete", key: "/a", expected: 128 as Revision },
  { type: "compact", revision: 4_294_967_296 as Revision },
  { type: "grant-lease", ttlMs: 30_000 },
  { type: "revoke-lease", lease: 7 as LeaseId },
  { type: "feature-level", level: 1 },
];

describe("encodeCommands", () => {
  test("encodeCommands: decodeCommands gives back the same commands", () => {
    expect(decodeCommands(encodeCommands(commands))).toEqual(commands);
    expect(decodeCommands(encodeCommands([]))).toEqual([]);
  });

  test("encodeCommands: the bytes of format 1 never change", () => {
    const bytes = encodeCommands([
      { type: "create", key: "a", value },
      { type: "delete", key: "b", expected: 300 as Revision },
    ]);
    expect(Buffer.from(bytes).toString("hex")).toBe("0102010161000300ff01030162ac02");
  });
});

describe("decodeCommands", () => {
  test("decodeCommands: refuses every shortened or extended entry", () => {
    const bytes = encodeCommands(commands);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeCommands(bytes.subarray(0, length))).toThrow(DecodeError);
    }
    expect(() => decodeCommands(new Uint8Array([...bytes, 0]))).toThrow("1 bytes behind its end");
  });

  test("decodeCommands: names the format and the command it does not know", () => {
    expect(() => decodeCommands(new Uint8Array([9]))).toThrow("has format 9");
    expect(() => decodeCommands(new Uint8Array([1, 1, 77]))).toThrow("holds command 77");
  });

  test("decodeCommands: damaged bytes either decode or throw a DecodeError", () => {
    const random = new SeededRandom(5);
    for (let round = 0; round < 2_000; round++) {
      const bytes = encodeCommands(commands).slice();
      bytes[randomInteger(random, bytes.length)] = randomInteger(random, 256);
      try {
        decodeCommands(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
  });
});
