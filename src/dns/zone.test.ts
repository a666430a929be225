import { describe, expect, test } from "bun:test";
import type { EndpointSlice, Service } from "../api/index.ts";
import { searchZone } from "./search.ts";
import { ClusterZone } from "./zone.ts";

function service(key: string, spec: Service["spec"]): Service {
  const [namespace = "", name = ""] = key.split("/");
  return { metadata: { namespace, name }, ...(spec === undefined ? {} : { spec }) };
}

const SERVICES = [
  service("default/web", {
    clusterIP: "127.43.0.5",
    ports: [
      { name: "http", port: 80 },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
  }),
  service("default/db", { clusterIP: "None", ports: [{ name: "sql", port: 5432 }] }),
  service("default/empty", { clusterIP: "None", ports: [{ port: 80 }] }),
  service("other/out", { type: "ExternalName", externalName: "www.example.com." }),
  service("other/in", { type: "ExternalName", externalName: "web.default.svc.cluster.local" }),
  service("other/loop", { type: "ExternalName", externalName: "loop.other.svc.cluster.local" }),
];

const SLICES: Readonly<Record<string, readonly EndpointSlice[]>> = {
  "default/web": [slice(["127.42.0.2"], 8080, "http")],
  "default/db": [
    slice(["127.42.0.3", "127.42.0.4"], 5432, "sql", "db-0"),
    { ...slice(["127.42.0.9"], 5432, "sql"), addressType: "IPv6" },
  ],
};

function slice(ips: string[], port: number, name: string, hostname?: string): EndpointSlice {
  return {
    metadata: { name: "slice" },
    addressType: "IPv4",
    ports: [{ name, port, protocol: "TCP" }],
    endpoints: [
      ...ips.map((ip, index) => ({
        addresses: [ip],
        ...(hostname !== undefined && index === 0 ? { hostname } : {}),
      })),
      { addresses: ["127.42.0.99"], conditions: { ready: false } },
    ],
  };
}

const zone = new ClusterZone({
  domain: "cluster.local",
  serverIp: "127.43.0.10",
  ranges: ["127.43.0.0/16", "127.42.0.0/16"],
  view: {
    service: (namespace, name) =>
      SERVICES.find((each) => each.metadata.name === name && each.metadata.namespace === namespace),
    services: () => SERVICES,
    slicesOf: (namespace, name) => SLICES[`${namespace}/${name}`] ?? [],
  },
});

/** The answer in one line. */
function ask(name: string, type: string): string {
  return shown(zone.ask(name, type));
}

function shown(answer: ReturnType<ClusterZone["ask"]>): string {
  if (answer.type === "unknown" || answer.type === "elsewhere") return answer.type;
  const lines = answer.records.map(({ type, data }) =>
    typeof data === "string"
      ? `${type} ${data}`
      : `${type} ${data.port} ${data.weight} ${data.target}`,
  );
  const text = lines.length === 0 ? "nothing" : lines.join(", ");
  return answer.type === "outside" ? `${text} → ${answer.target}` : text;
}

describe("ClusterZone", () => {
  test.each([
    ["web.default.svc.cluster.local", "A", "A 127.43.0.5"],
    ["WEB.default.svc.cluster.local", "A", "A 127.43.0.5"],
    ["web.default.svc.cluster.local", "AAAA", "nothing"],
    ["web.default.svc.cluster.local", "MX", "nothing"],
    ["web.other.svc.cluster.local", "A", "unknown"],
    ["db.default.svc.cluster.local", "A", "A 127.42.0.3, A 127.42.0.4"],
    ["db-0.db.default.svc.cluster.local", "A", "A 127.42.0.3"],
    ["127-42-0-4.db.default.svc.cluster.local", "A", "A 127.42.0.4"],
    ["db-1.db.default.svc.cluster.local", "A", "unknown"],
    ["a.db-0.db.default.svc.cluster.local", "A", "unknown"],
    ["empty.default.svc.cluster.local", "A", "unknown"],
    ["default.svc.cluster.local", "A", "nothing"],
    ["nobody.svc.cluster.local", "A", "unknown"],
    ["svc.cluster.local", "A", "nothing"],
    ["cluster.local", "NS", "NS ns.dns.cluster.local"],
    ["ns.dns.cluster.local", "A", "A 127.43.0.10"],
    ["dns-version.cluster.local", "TXT", "TXT 1.1.0"],
    ["nothing.cluster.local", "A", "unknown"],
    ["127-42-0-7.default.pod.cluster.local", "A", "A 127.42.0.7"],
    ["127-42-0-7.default.pod.cluster.local", "AAAA", "nothing"],
    ["127-42-0-777.default.pod.cluster.local", "A", "unknown"],
    ["www.example.com", "A", "elsewhere"],
    ["notcluster.local", "A", "elsewhere"],
  ])("ClusterZone answers %s %s with %s", (name, type, expected) => {
    expect(ask(name, type)).toBe(expected);
  });

  test.each([
    ["_http._tcp.web.default.svc.cluster.local", "SRV 80 100 web.default.svc.cluster.local"],
    ["_dns._udp.web.default.svc.cluster.local", "SRV 53 100 web.default.svc.cluster.local"],
    ["_http._udp.web.default.svc.cluster.local", "unknown"],
    [
      "_sql._tcp.db.default.svc.cluster.local",
      "SRV 5432 50 db-0.db.default.svc.cluster.local, " +
        "SRV 5432 50 127-42-0-4.db.default.svc.cluster.local",
    ],
    ["_tcp.db.default.svc.cluster.local", "nothing"],
  ])("ClusterZone finds the port %s", (name, expected) => {
    expect(ask(name, "SRV")).toBe(expected);
  });

  test("ClusterZone tells the addresses that a port's targets have", () => {
    const answer = zone.ask("_sql._tcp.db.default.svc.cluster.local", "SRV");
    expect(answer.type === "records" ? answer.extra : []).toEqual([
      { type: "A", name: "db-0.db.default.svc.cluster.local", data: "127.42.0.3" },
      { type: "A", name: "127-42-0-4.db.default.svc.cluster.local", data: "127.42.0.4" },
    ]);
  });

  test.each([
    ["5.0.43.127.in-addr.arpa", "PTR web.default.svc.cluster.local"],
    ["3.0.42.127.in-addr.arpa", "PTR db-0.db.default.svc.cluster.local"],
    ["77.0.42.127.in-addr.arpa", "unknown"],
    ["8.8.8.8.in-addr.arpa", "elsewhere"],
    ["42.127.in-addr.arpa", "elsewhere"],
  ])("ClusterZone leads %s back to a name", (name, expected) => {
    expect(ask(name, "PTR")).toBe(expected);
  });

  test.each([
    ["out.other.svc.cluster.local", "A", "CNAME www.example.com → www.example.com"],
    ["out.other.svc.cluster.local", "CNAME", "CNAME www.example.com"],
    ["in.other.svc.cluster.local", "A", "CNAME web.default.svc.cluster.local, A 127.43.0.5"],
  ])("ClusterZone follows the ExternalName %s %s", (name, type, expected) => {
    expect(ask(name, type)).toBe(expected);
  });

  test("ClusterZone ends an ExternalName that leads to itself", () => {
    expect(ask("loop.other.svc.cluster.local", "A")).toStartWith("CNAME loop.other");
  });
});

describe("searchZone", () => {
  test.each([
    ["web", "A 127.43.0.5"],
    ["web.default", "A 127.43.0.5"],
    ["web.default.svc", "A 127.43.0.5"],
    ["web.default.svc.cluster.local", "A 127.43.0.5"],
    ["web.default.svc.cluster.local.", "A 127.43.0.5"],
    ["db-0.db", "A 127.42.0.3"],
    ["out.other", "CNAME www.example.com → www.example.com"],
    ["www.example.com", "elsewhere"],
    ["nobody.default.svc.cluster.local", "unknown"],
  ])("searchZone finds %s as a pod's resolver would: %s", (host, expected) => {
    expect(shown(searchZone(zone, "default", host, "A"))).toBe(expected);
  });
});
