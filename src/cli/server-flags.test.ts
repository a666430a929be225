import { describe, expect, test } from "bun:test";
import { parseServerFlags } from "./server-flags.ts";

const DEFAULTS = {
  dataDir: "/tmp/kubun-test",
  bindAddress: "127.0.0.1",
  tlsSan: [],
  serviceNodePortRange: "30000-32767",
  logLevel: "info",
};

describe("parseServerFlags", () => {
  test("parseServerFlags turns text into ports and ranges", () => {
    const flags = parseServerFlags({
      ...DEFAULTS,
      httpsPort: "0",
      httpPort: "8080",
      tlsSan: ["kubun.example", "192.0.2.7"],
      clusterCidr: "127.60.0.0/16",
      serviceCidr: "127.61.0.0/16",
    });
    expect(flags.httpsPort).toBe(0);
    expect(flags.httpPort).toBe(8080);
    expect(flags.serviceNodePortRange).toEqual({ from: 30_000, to: 32_767 });
    expect(flags.clusterCidr).toBe("127.60.0.0/16");
  });

  test("parseServerFlags leaves out what was not given", () => {
    expect(Object.keys(parseServerFlags(DEFAULTS)).sort()).toEqual([
      "bindAddress",
      "dataDir",
      "logLevel",
      "serviceNodePortRange",
      "tlsSan",
    ]);
  });

  const refused: [string, Record<string, unknown>, string][] = [
    [
      "a port above 65535",
      { httpsPort: "65536" },
      '--https-port "65536" is not allowed: give a port',
    ],
    ["a port that is a word", { httpPort: "web" }, '--http-port "web" is not allowed: give a port'],
    ["a bind address that is a name", { bindAddress: "here" }, '--bind-address "here" is not'],
    ["a range turned round", { serviceNodePortRange: "9-3" }, "--service-node-port-range"],
    ["a range with host bits", { clusterCidr: "127.42.0.1/16" }, "--cluster-cidr"],
    ["an unknown log level", { logLevel: "loud" }, '"debug", "info", "warn", "error"'],
    [
      "ranges that overlap",
      { clusterCidr: "127.0.0.0/8", serviceCidr: "127.43.0.0/16" },
      "overlaps",
    ],
  ];
  for (const [what, flags, message] of refused) {
    test(`parseServerFlags refuses ${what} and names the flag`, () => {
      expect(() => parseServerFlags({ ...DEFAULTS, ...flags })).toThrow(message);
    });
  }
});
