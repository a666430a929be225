import { describe, expect, test } from "bun:test";
import { complaints, defaulted } from "../../testing/kind-fixture.ts";
import type { NetworkPolicy } from "./types.ts";

const ingress = (spec: Record<string, unknown>) =>
  complaints("networking.k8s.io/v1 Ingress", { spec });
const backend = { service: { name: "web", port: { number: 80 } } };
const rule = (path: Record<string, unknown>) => ({
  rules: [{ host: "a.example.com", http: { paths: [{ backend, pathType: "Prefix", ...path }] } }],
});
const at = "spec.rules[0].http.paths[0]";

describe("validateIngress", () => {
  test("validateIngress: an ordinary one is fine", () => {
    expect(ingress(rule({ path: "/" }))).toEqual([]);
    expect(ingress({ defaultBackend: backend })).toEqual([]);
  });

  test("validateIngress: says where requests go", () => {
    expect(ingress({})).toEqual([
      "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified",
    ]);
    expect(ingress(rule({ path: "/", backend: { service: { name: "web" } } }))).toEqual([
      `${at}.backend.service.port: Required value: port name or number is required`,
    ]);
  });

  test("validateIngress: paths mean one thing only", () => {
    expect(ingress(rule({ path: "a//b" }))).toEqual([
      `${at}.path: Invalid value: "a//b": must be an absolute path`,
      `${at}.path: Invalid value: "a//b": must not contain '//'`,
    ]);
    expect(ingress(rule({ path: "/", pathType: undefined }))).toEqual([
      `${at}.pathType: Required value: pathType must be specified`,
    ]);
  });

  test("validateIngress: hosts are names", () => {
    const found = ingress({ rules: [{ host: "10.0.0.1" }, { host: "*.example.com" }] });
    expect(found).toEqual([
      'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
    ]);
  });
});

describe("NetworkPolicy", () => {
  const type = "networking.k8s.io/v1 NetworkPolicy";

  test("defaultNetworkPolicy: is about what it mentions", () => {
    const policy = defaulted<NetworkPolicy>(type, { spec: { egress: [{ ports: [{}] }] } });
    expect(policy.spec).toEqual({
      egress: [{ ports: [{ protocol: "TCP" }] }],
      policyTypes: ["Ingress", "Egress"],
    });
  });

  test("validateNetworkPolicy: an exception lies in its block", () => {
    const ipBlock = { cidr: "10.0.0.0/8", except: ["10.1.0.0/16", "11.0.0.0/16"] };
    expect(complaints(type, { spec: { ingress: [{ from: [{ ipBlock }] }] } })).toEqual([
      'spec.ingress[0].from[0].ipBlock.except[1]: Invalid value: "11.0.0.0/16": ' +
        "must be a strict subset of `cidr`",
    ]);
  });
});
