import { describe, expect, test } from "bun:test";
import {
  bool,
  bytes,
  decode,
  encode,
  integer,
  integers,
  many,
  map,
  message,
  one,
  string,
  strings,
} from "./protobuf.ts";

const Inner = message({ name: string(1), count: integer(2) });
const Outer = message({
  text: string(1),
  flag: bool(2),
  number: integer(3),
  blob: bytes(4),
  words: strings(5),
  numbers: integers(6),
  labels: map(7),
  inner: one(8, Inner),
  list: many(19, Inner),
});

describe("protobuf", () => {
  test("encode and decode keep every kind of field", () => {
    const value = {
      text: "Grüße",
      flag: true,
      number: 1_699_999_999_999,
      blob: new Uint8Array([0, 255]),
      words: ["a", ""],
      numbers: [0, 1, 300],
      labels: { a: "1", b: "" },
      inner: { name: "x", count: 7 },
      list: [
        { name: "y", count: 0 },
        { name: "", count: -1 },
      ],
    };
    const read = decode(Outer, encode(Outer, value));
    expect({ ...read, blob: new Uint8Array(read.blob) }).toEqual(value);
  });

  test("encode writes the bytes of the specification's examples", () => {
    expect([...encode(Inner, { count: 150 })]).toEqual([0x10, 0x96, 0x01]);
    expect([...encode(Inner, { name: "testing" })]).toEqual([
      0x0a, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67,
    ]);
  });

  test("encode leaves out defaults, but not an empty message", () => {
    expect(encode(Outer, { text: "", flag: false, number: 0 })).toHaveLength(0);
    expect([...encode(Outer, { inner: { count: 0 } })]).toEqual([0x42, 0x00]);
  });

  test("decode gives what is absent its default, and messages undefined", () => {
    const read = decode(Outer, new Uint8Array());
    expect(read).toMatchObject({ text: "", flag: false, number: 0, words: [], labels: {} });
    expect(read.inner).toBeUndefined();
  });

  test("decode skips fields that it does not know, of every wire type", () => {
    const Newer = message({ name: string(1), a: integer(90), b: string(91), c: one(92, Inner) });
    const newer = encode(Newer, { name: "kept", a: 2 ** 40, b: "later", c: { name: "deep" } });
    const eightBytes = Buffer.from([0xb1, 0x01, 1, 2, 3, 4, 5, 6, 7, 8]);
    const fourBytes = Buffer.from([0xb5, 0x01, 1, 2, 3, 4]);
    expect(decode(Inner, Buffer.concat([newer, eightBytes, fourBytes]))).toEqual({
      name: "kept",
      count: 0,
    });
  });

  test("decode reads times in nanoseconds to a fraction of a microsecond", () => {
    const nanoseconds = 1_763_890_000 * 1e9 + 123_456_000;
    const { count } = decode(Inner, encode(Inner, { count: nanoseconds }));
    expect(Math.abs(count - nanoseconds)).toBeLessThan(1000);
    expect(decode(Inner, encode(Inner, { count: -7 })).count).toBe(-7);
  });

  test("decode reads repeated integers packed or one by one", () => {
    expect(decode(Outer, Buffer.from([0x30, 1, 0x30, 2])).numbers).toEqual([1, 2]);
    expect(decode(Outer, Buffer.from([0x32, 2, 1, 2])).numbers).toEqual([1, 2]);
  });

  test("decode refuses what is cut short or without end", () => {
    expect(() => decode(Inner, Buffer.from([0x0a, 5, 1]))).toThrow(RangeError);
    expect(() => decode(Inner, Buffer.from([0x10]))).toThrow(RangeError);
    expect(() => decode(Inner, Buffer.from([0x10, ...Array<number>(20).fill(255)]))).toThrow(
      RangeError,
    );
    expect(() => decode(Inner, Buffer.from([0x0b]))).toThrow(RangeError);
  });
});
