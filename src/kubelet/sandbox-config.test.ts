import { describe, expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { MAX_NAME_SERVERS, parseResolvConf, podDns } from "./pod-dns.ts";
import { podHostname } from "./pod-hostname.ts";
import { sandboxConfig, type SandboxInput } from "./sandbox-config.ts";

const HOST = { servers: ["192.0.2.53"], searches: ["lan"], options: ["timeout:1"] };
const CLUSTER = { address: "10.43.0.10", domain: "cluster.local" };
const INPUT: SandboxInput = {
  attempt: 0,
  hostDns: HOST,
  clusterDns: CLUSTER,
  logDirectory: "/logs/default_web_u",
};

function podOf(spec: Partial<NonNullable<Pod["spec"]>>, annotations = {}): Pod {
  return {
    metadata: { name: "web", namespace: "default", uid: "u", annotations },
    spec: { containers: [{ name: "app", image: "box" }], ...spec },
  };
}

describe("podDns", () => {
  const dnsOf = (spec: Partial<NonNullable<Pod["spec"]>>) =>
    podDns(podOf(spec), { host: HOST, cluster: CLUSTER });

  test("podDns asks the cluster first, and searches the pod's namespace", () => {
    expect(dnsOf({})).toEqual({
      servers: ["10.43.0.10"],
      searches: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan"],
      options: ["ndots:5"],
    });
  });

  test("podDns gives the machine's own for Default, and for ClusterFirst on its network", () => {
    expect(dnsOf({ dnsPolicy: "Default" })).toEqual(HOST);
    expect(dnsOf({ hostNetwork: true, dnsPolicy: "ClusterFirst" })).toEqual(HOST);
    expect(dnsOf({ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }).servers).toEqual([
      "10.43.0.10",
    ]);
  });

  test("podDns adds what the pod says, by name and once", () => {
    const dnsConfig = {
      nameservers: ["1.1.1.1", "1.1.1.1"],
      searches: ["example.com"],
      options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
    };
    expect(dnsOf({ dnsPolicy: "None", dnsConfig })).toEqual({
      servers: ["1.1.1.1"],
      searches: ["example.com"],
      options: ["ndots:2", "edns0"],
    });
    expect(dnsOf({ dnsConfig }).options).toEqual(["ndots:2", "edns0"]);
  });

  test("podDns keeps to what a resolver takes", () => {
    const nameservers = ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"];
    const searches = Array.from({ length: 40 }, (_, index) => `s${index}.${"x".repeat(200)}`);
    const found = dnsOf({ dnsPolicy: "None", dnsConfig: { nameservers, searches } });
    expect(found.servers).toHaveLength(MAX_NAME_SERVERS);
    expect(found.searches.join(" ").length).toBeLessThanOrEqual(2048);
  });

  test("parseResolvConf reads servers, the last search and options", () => {
    const text =
      "# a comment\nnameserver 10.0.0.1 # the first\nsearch a\nsearch b c\noptions x y:1\n";
    expect(parseResolvConf(text)).toEqual({
      servers: ["10.0.0.1"],
      searches: ["b", "c"],
      options: ["x", "y:1"],
    });
  });
});

describe("podHostname", () => {
  test("podHostname is the pod's name, cut to a label, or what the pod says", () => {
    const long = podOf({});
    long.metadata.name = `${"a".repeat(62)}-b`;
    expect(podHostname(long, "cluster.local").hostname).toBe("a".repeat(62));
    expect(podHostname(podOf({ hostname: "db-0", subdomain: "db" }), "cluster.local")).toEqual({
      hostname: "db-0",
      fqdn: "db-0.db.default.svc.cluster.local",
    });
  });

  test("podHostname is the whole name where that is asked for, if a kernel takes it", () => {
    const spec = { hostname: "db-0", subdomain: "db", setHostnameAsFQDN: true };
    expect(podHostname(podOf(spec), "cluster.local").hostname).toBe(
      "db-0.db.default.svc.cluster.local",
    );
    expect(() => podHostname(podOf(spec), "x".repeat(60))).toThrow("64 characters is the max");
  });
});

describe("sandboxConfig", () => {
  test("sandboxConfig of a plain pod says no more than it has to", () => {
    const { dns, ...rest } = sandboxConfig(podOf({}), INPUT);
    expect(dns?.servers).toEqual(["10.43.0.10"]);
    expect(rest).toEqual({
      name: "web",
      namespace: "default",
      uid: "u",
      attempt: 0,
      annotations: {},
      labels: {},
      hostname: "web",
      logDirectory: "/logs/default_web_u",
      containers: [{ name: "app", image: "box" }],
    });
  });

  test("sandboxConfig takes over namespaces, groups, sysctls and host ports", () => {
    const pod = podOf({
      hostPID: true,
      shareProcessNamespace: true,
      securityContext: {
        fsGroup: 2000,
        supplementalGroups: [3000, 2000],
        sysctls: [{ name: "net.core.somaxconn", value: "1024" }],
      },
      containers: [
        {
          name: "app",
          image: "box",
          securityContext: { privileged: true },
          ports: [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }],
        },
      ],
    });
    expect(sandboxConfig(pod, INPUT)).toMatchObject({
      host: { pid: true },
      shareProcessNamespace: true,
      security: { privileged: true, supplementalGroups: [3000, 2000] },
      sysctls: { "net.core.somaxconn": "1024" },
      hostPorts: [{ hostPort: 8080, containerPort: 80, protocol: "TCP" }],
    });
  });

  test("sandboxConfig: the machine's network has no name and no host ports of the pod", () => {
    const ports = [{ containerPort: 80, hostPort: 80 }];
    const pod = podOf({ hostNetwork: true, containers: [{ name: "app", image: "box", ports }] });
    const { host, hostname, hostPorts } = sandboxConfig(pod, INPUT);
    expect([host, hostname, hostPorts]).toEqual([{ network: true }, undefined, undefined]);
  });

  test("sandboxConfig: an annotation of a container counts before one of the pod", () => {
    const annotations = { "kubun.dev/runtime": "oci", "kubun.dev/runtime.app": "wasi" };
    const containers = [
      { name: "app", image: "a" },
      { name: "other", image: "b" },
    ];
    const pod = podOf({ containers }, annotations);
    expect(sandboxConfig(pod, INPUT).containers).toEqual([
      { name: "app", image: "a", handler: "wasi" },
      { name: "other", image: "b", handler: "oci" },
    ]);
  });
});
