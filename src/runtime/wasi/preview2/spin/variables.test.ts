import { describe, expect, test } from "bun:test";
import { imported, openHost, refusal } from "../testing/host-fixture.ts";

type Get = (name: string) => string;

function openVariables() {
  return openHost({
    env: [
      ["api_key", "as asked"],
      ["API_KEY", "in upper case"],
      ["GREETING", "hello"],
      ["empty", ""],
    ],
  });
}

describe("spinVariables", () => {
  test("spinVariables finds a name as it was asked for, and else in upper case", () => {
    using fixture = openVariables();
    const get = imported<Get>(fixture.instance, "fermyon:spin/variables", "get");
    expect(get("api_key")).toBe("as asked");
    expect(get("greeting")).toBe("hello");
    expect(get("empty")).toBe("");
    expect(refusal(() => get("missing"))).toEqual({ tag: "undefined", val: "missing" });
    expect(refusal(() => get("no-name"))).toEqual({ tag: "invalid-name", val: "no-name" });
  });

  test("spinVariables answers by the former name of the interface too", () => {
    using fixture = openVariables();
    const getConfig = imported<Get>(fixture.instance, "fermyon:spin/config", "getConfig");
    expect(getConfig("greeting")).toBe("hello");
    expect(refusal(() => getConfig("missing"))).toMatchObject({ tag: "provider" });
    expect(refusal(() => getConfig(""))).toEqual({ tag: "invalid-key", val: "" });
  });
});
