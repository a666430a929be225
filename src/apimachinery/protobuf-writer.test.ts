import { describe, expect, test } from "bun:test";
import { ProtobufWriter } from "./protobuf-writer.ts";

function written(write: (writer: ProtobufWriter) => void): string {
  const writer = new ProtobufWriter();
  write(writer);
  return writer.finish().toHex();
}

describe("ProtobufWriter", () => {
  test("ProtobufWriter: writes the examples of the format's documentation", () => {
    expect(written((writer) => writer.string(2, "testing"))).toBe("120774657374696e67");
    expect(written((writer) => writer.message(3, (inner) => inner.bool(1, true)))).toBe("1a020801");
  });

  test("ProtobufWriter: leaves out what proto3 leaves out, but not empty messages", () => {
    expect(written((writer) => writer.string(1, ""))).toBe("");
    expect(written((writer) => writer.string(1, undefined))).toBe("");
    expect(written((writer) => writer.bool(1, false))).toBe("");
    expect(written((writer) => writer.message(1, () => undefined))).toBe("0a00");
    expect(written((writer) => writer.strings(1, ["a", ""]))).toBe("0a01610a00");
  });

  test("ProtobufWriter: writes large field numbers and long values", () => {
    const hex = written((writer) => writer.string(31, "x".repeat(300)));
    expect(hex).toStartWith("fa01ac02");
    expect(hex.length).toBe(2 * (4 + 300));
  });
});
