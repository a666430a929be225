import { describe, expect, test } from "bun:test";
import { defaulted } from "../../testing/kind-fixture.ts";
import type { Service } from "./types.ts";

const spec = (fields: Record<string, unknown>) =>
  defaulted<Service>("v1 Service", { spec: fields }).spec;

describe("defaultService", () => {
  test("defaultService: fills in a plain Service", () => {
    expect(spec({ ports: [{ port: 80 }] })).toEqual({
      internalTrafficPolicy: "Cluster",
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      sessionAffinity: "None",
      type: "ClusterIP",
    });
  });

  test("defaultService: what is reached from outside says how", () => {
    expect(spec({ type: "NodePort" })).toMatchObject({ externalTrafficPolicy: "Cluster" });
    expect(spec({ type: "LoadBalancer" })).toMatchObject({ allocateLoadBalancerNodePorts: true });
  });

  test("defaultService: an ExternalName has no addresses", () => {
    const fields = { type: "ExternalName", externalName: "example.com" };
    expect(spec(fields)).toEqual({ ...fields, sessionAffinity: "None" });
  });

  test("defaultService: affinity lasts three hours", () => {
    const config = spec({ sessionAffinity: "ClientIP" })?.sessionAffinityConfig;
    expect(config).toEqual({ clientIP: { timeoutSeconds: 10800 } });
  });
});
