import { describe, expect, test } from "bun:test";
import type { NetworkCommands } from "../runtime/index.ts";
import { claimRealRanges } from "./address-range.ts";
import { openLocalRanges, prefixesInUse, prefixesOverlap, ROUTE_PROTOCOL } from "./local-ranges.ts";

const DEVICE = "kubun-0test";

/** A machine that has these routes and links, and remembers what it is told. */
function machine(routes: readonly object[], links: readonly string[] = []) {
  const said: string[] = [];
  const commands: NetworkCommands = {
    obstacle: () => undefined,
    async ip(lines) {
      said.push(...lines);
    },
    ipJson: async ([what]) => (what === "link" ? links.map((ifname) => ({ ifname })) : [...routes]),
    nft: () => Promise.resolve(),
    setKernel: () => undefined,
    kernel: () => "",
  };
  return { commands, said };
}

const local = (dst: string, dev = DEVICE) => ({
  type: "local",
  dst,
  dev,
  protocol: String(ROUTE_PROTOCOL),
});

describe("prefixesOverlap", () => {
  const cases: [string, string, boolean][] = [
    ["10.42.0.0/16", "10.42.7.1", true],
    ["10.42.0.0/16", "10.0.0.0/8", true],
    ["10.42.0.0/16", "10.43.0.0/16", false],
    ["10.42.0.0/16", "127/8", false],
    ["192.0.2.0/24", "192.0.3.0/24", false],
  ];
  for (const [one, other, overlap] of cases) {
    test(`prefixesOverlap: ${one} and ${other}`, () => {
      expect(prefixesOverlap(one, other)).toBe(overlap);
      expect(prefixesOverlap(other, one)).toBe(overlap);
    });
  }
});

describe("openLocalRanges", () => {
  const ranges = { clusterCidr: "10.42.0.0/16", serviceCidr: "10.43.0.0/16" };

  test("openLocalRanges makes the bridge and both routes, if they are missing", async () => {
    const fresh = machine([]);
    await openLocalRanges(fresh.commands, DEVICE, ranges);
    const [link, up, ...routes] = fresh.said;
    expect([link, up]).toEqual([`link add ${DEVICE} type bridge`, `link set ${DEVICE} up`]);
    expect(routes).toEqual([
      `route append local 10.42.0.0/16 dev ${DEVICE} table local protocol ${ROUTE_PROTOCOL}`,
      `route append local 10.43.0.0/16 dev ${DEVICE} table local protocol ${ROUTE_PROTOCOL}`,
    ]);
    const half = machine([local("10.42.0.0/16"), local("10.44.0.0/16")], [DEVICE]);
    await openLocalRanges(half.commands, DEVICE, ranges);
    expect(half.said.slice(1).map((line) => line.split(" ").slice(1, 4).join(" "))).toEqual([
      "del local 10.44.0.0/16",
      "append local 10.43.0.0/16",
    ]);
  });
});

describe("claimRealRanges", () => {
  test("claimRealRanges leaves a machine alone whose routes have all pairs", async () => {
    const { commands, said } = machine([{ dst: "10.0.0.0/8", dev: "vpn0" }, { dst: "default" }]);
    expect(await prefixesInUse(commands, { device: DEVICE })).toEqual(["10.0.0.0/8"]);
    expect(await claimRealRanges({ commands, device: DEVICE })).toBeUndefined();
    expect(said).toEqual([`link del ${DEVICE}`]);
  });

  test("claimRealRanges passes over pairs that another cluster's routes have", async () => {
    const { commands, said } = machine([local("10.43.0.0/16", "kubun-other")]);
    // No range is this machine's, whatever it answered: each is tried, and given back at the end.
    expect(await claimRealRanges({ commands, device: DEVICE })).toBeUndefined();
    const tried = said.filter((line) => line.startsWith("route append"));
    expect(tried[0]).toContain("10.44.0.0/16");
    expect(said.at(-1)).toBe(`link del ${DEVICE}`);
  });
});
