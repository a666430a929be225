import { describe, expect, test } from "bun:test";
import { parseAgentFlags } from "./agent-flags.ts";
import { isNodeName } from "./node-name.ts";

describe("isNodeName", () => {
  test("isNodeName: subdomains of RFC 1123 that fit into a label's value", () => {
    const fit = ["a", "7", "node-1", "ip-10-0-0-1.eu.example", "a".repeat(63)];
    const unfit = ["", "A", "a_b", "-a", "a-", ".a", "a.", "a..b", "a.-b", "a-.b", "ä", "a b"];
    expect(fit.filter((name) => !isNodeName(name))).toEqual([]);
    expect([...unfit, "a".repeat(64)].filter(isNodeName)).toEqual([]);
  });

  test("isNodeName: an agent is told of its flag before it asks to join", () => {
    const given = { dataDir: "/d", bindAddress: "127.0.0.1", logLevel: "info" };
    const long = "n".repeat(238);
    expect(() => parseAgentFlags({ ...given, nodeName: long }, {})).toThrow(
      `--node-name "${long}" is not allowed: give a name in lower case such as node-1: letters, ` +
        "digits, - and ., at most 63",
    );
  });
});
