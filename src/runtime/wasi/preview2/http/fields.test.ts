import { describe, expect, test } from "bun:test";
import { GuestTrap } from "../io/guest-error.ts";
import { MAX_HELD_BYTES, MAX_RESOURCES } from "../io/instance-scope.ts";
import { bytesOf, httpTypes, openHost, refusal, textOf } from "../testing/host-fixture.ts";
import { MAX_FIELDS, MAX_FIELDS_BYTES } from "./fields.ts";

describe("Fields", () => {
  test("Fields keep order and case, and find names in any case", () => {
    using fixture = openHost();
    const { Fields } = httpTypes(fixture.instance);
    const fields = Fields.fromList([
      ["X-One", bytesOf("1")],
      ["b", bytesOf("2")],
      ["x-one", bytesOf("3")],
    ]);
    expect(fields.get("x-ONE").map(textOf)).toEqual(["1", "3"]);
    expect(fields.has("B")).toBe(true);
    expect(fields.get("none")).toEqual([]);
    fields.set("x-one", [bytesOf("4")]);
    fields.append("c", bytesOf("5"));
    fields.delete("b");
    expect(fields.entries().map(([name, value]) => [name, textOf(value)])).toEqual([
      ["x-one", "4"],
      ["c", "5"],
    ]);
    const clone = fields.clone();
    clone.delete("c");
    expect(fields.has("c")).toBe(true);
  });

  test("Fields refuse names and values that would break a head", () => {
    using fixture = openHost();
    const { Fields } = httpTypes(fixture.instance);
    const fields = new Fields();
    const syntax = { tag: "invalid-syntax" };
    for (const name of ["", "a b", "a:b", "a\r\nb", "ä", "a\0"]) {
      expect(refusal(() => fields.append(name, bytesOf("v")))).toEqual(syntax);
    }
    for (const value of ["a\r\nx-evil: 1", "a\n", "a\0b", "\x7f"]) {
      expect(refusal(() => fields.append("a", bytesOf(value)))).toEqual(syntax);
      expect(refusal(() => fields.set("a", [bytesOf(value)]))).toEqual(syntax);
      expect(refusal(() => Fields.fromList([["a", bytesOf(value)]]))).toEqual(syntax);
    }
    expect(fields.entries()).toEqual([]);
    fields.append("a", bytesOf("tab\tand ümlaut are fine"));
  });

  test("Fields forbid what belongs to the connection or to the egress", () => {
    using fixture = openHost();
    const { Fields } = httpTypes(fixture.instance);
    const fields = new Fields();
    for (const name of ["Host", "connection", "Transfer-Encoding", "x-kubun-scheme", "Upgrade"]) {
      expect(refusal(() => fields.append(name, bytesOf("v")))).toEqual({ tag: "forbidden" });
      expect(refusal(() => fields.delete(name))).toEqual({ tag: "forbidden" });
    }
  });

  test("Fields of a message cannot be changed", () => {
    using fixture = openHost();
    const { Fields, OutgoingResponse } = httpTypes(fixture.instance);
    const response = new OutgoingResponse(Fields.fromList([["a", bytesOf("1")]]));
    const headers = response.headers();
    expect(refusal(() => headers.set("a", []))).toEqual({ tag: "immutable" });
    expect(refusal(() => headers.append("b", bytesOf("1")))).toEqual({ tag: "immutable" });
    expect(refusal(() => headers.delete("a"))).toEqual({ tag: "immutable" });
    const clone = headers.clone();
    clone.append("b", bytesOf("1"));
    expect(() => response[Symbol.dispose]()).toThrow(GuestTrap);
    headers[Symbol.dispose]();
    response[Symbol.dispose]();
  });

  test("Fields beyond their limits end the guest", () => {
    using fixture = openHost();
    const { Fields } = httpTypes(fixture.instance);
    const many = new Fields();
    for (let index = 0; index < MAX_FIELDS; index++) many.append(`n${index}`, bytesOf(""));
    expect(() => many.append("one-more", bytesOf(""))).toThrow(`more than ${MAX_FIELDS} fields`);
    const large = new Fields();
    const tooLarge = new Uint8Array(MAX_FIELDS_BYTES).fill(97);
    expect(() => large.append("a", tooLarge)).toThrow(GuestTrap);
    expect(() => large.set("a", [tooLarge])).toThrow(GuestTrap);
  });

  test("Fields of all collections together are bounded, and dropped ones do not count", () => {
    using fixture = openHost();
    const { Fields } = httpTypes(fixture.instance);
    const value = new Uint8Array(MAX_FIELDS_BYTES / 2).fill(97);
    const fill = () => {
      const made = [];
      for (let held = 0; held < MAX_HELD_BYTES * 2; held += value.length) {
        const fields = new Fields();
        made.push(fields);
        fields.append("a", value);
      }
      return made;
    };
    expect(fill).toThrow("bytes for the instance already");
    using other = openHost();
    const { Fields: Others } = httpTypes(other.instance);
    for (let round = 0; round < 300; round++) {
      const fields = new Others();
      fields.append("a", value);
      fields[Symbol.dispose]();
    }
  });

  test("Fields given to messages are held until these are gone, and so are their paths", () => {
    const value = new Uint8Array(MAX_FIELDS_BYTES / 2).fill(97);
    const already = "bytes for the instance already";
    using responses = openHost();
    const given = httpTypes(responses.instance);
    const respond = () => new given.OutgoingResponse(given.Fields.fromList([["a", value]]));
    expect(() => Array.from({ length: MAX_RESOURCES }, respond)).toThrow(already);
    using requests = openHost();
    const { Fields, OutgoingRequest } = httpTypes(requests.instance);
    const ask = () => new OutgoingRequest(new Fields()).setPathWithQuery(`/${"a".repeat(8000)}`);
    expect(() => Array.from({ length: MAX_RESOURCES }, ask)).toThrow(already);
    using fields = openHost();
    const { Fields: Small } = httpTypes(fields.instance);
    const many = () => Small.fromList(Array.from({ length: MAX_FIELDS }, () => ["a", bytesOf("")]));
    expect(() => Array.from({ length: MAX_RESOURCES }, many)).toThrow(already);
    using fine = openHost();
    const ok = httpTypes(fine.instance);
    for (let round = 0; round < 600; round++) {
      new ok.OutgoingResponse(ok.Fields.fromList([["a", value]]))[Symbol.dispose]();
    }
  });

  test("An instance may hold so many resources, and one more ends it", () => {
    using fixture = openHost();
    const { Fields } = httpTypes(fixture.instance);
    const made = Array.from({ length: MAX_RESOURCES }, () => new Fields());
    expect(() => new Fields()).toThrow(GuestTrap);
    made[0]?.[Symbol.dispose]();
    new Fields()[Symbol.dispose]();
  });
});
