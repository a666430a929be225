import { describe, expect, test } from "bun:test";
import type { Service } from "../api/index.ts";
import { wantedStatus } from "./load-balancer-status.ts";
import { isAllowedSource } from "./l4/source-ranges.ts";

const BOUND = { isBound: true };

function balanced(shown: string[], spec: Partial<Service["spec"]> = {}): Service {
  return {
    metadata: { namespace: "d", name: "web" },
    spec: { type: "LoadBalancer", ...spec },
    status: { loadBalancer: { ingress: shown.map((ip) => ({ ip })) } },
  };
}

describe("wantedStatus", () => {
  test("wantedStatus shows the node's address while it is listened on", () => {
    const want = [{ ip: "127.0.0.1", ipMode: "VIP" }];
    expect(wantedStatus(balanced([]), "127.0.0.1", BOUND)).toEqual(want);
    expect(wantedStatus(balanced(["127.0.0.1"]), "127.0.0.1", BOUND)).toBeUndefined();
    expect(wantedStatus(balanced(["10.0.0.1"]), "127.0.0.1", BOUND)).toEqual(want);
    expect(wantedStatus(balanced([]), "node.example", BOUND)).toEqual([
      { hostname: "node.example" },
    ]);
    expect(wantedStatus(balanced(["127.0.0.1"]), "127.0.0.1", { isBound: false })).toEqual([]);
    expect(wantedStatus(balanced([]), "127.0.0.1", { isBound: false })).toBeUndefined();
  });

  test("wantedStatus empties what is no load balancer any more, and leaves those of others", () => {
    const plain = balanced(["127.0.0.1"], { type: "ClusterIP" });
    expect(wantedStatus(plain, "127.0.0.1", BOUND)).toEqual([]);
    const foreign = balanced(["10.0.0.1"], { loadBalancerClass: "example.com/other" });
    expect(wantedStatus(foreign, "127.0.0.1", BOUND)).toBeUndefined();
    const own = balanced([], { loadBalancerClass: "kubun.dev/node" });
    expect(wantedStatus(own, "127.0.0.1", BOUND)).toHaveLength(1);
  });
});

describe("isAllowedSource", () => {
  test("isAllowedSource lets in everybody without ranges, and else those of a range", () => {
    expect(isAllowedSource(undefined, "9.9.9.9")).toBe(true);
    expect(isAllowedSource(["10.1.2.3/8"], "10.200.0.1")).toBe(true);
    expect(isAllowedSource(["10.1.2.3/8"], "::ffff:10.200.0.1")).toBe(true);
    expect(isAllowedSource(["10.0.0.0/8", " 127.0.0.1/32"], "127.0.0.1")).toBe(true);
    expect(isAllowedSource(["10.0.0.0/8"], "11.0.0.1")).toBe(false);
    expect(isAllowedSource(["nonsense"], "10.0.0.1")).toBe(false);
  });
});
