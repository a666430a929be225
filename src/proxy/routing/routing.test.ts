import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  ingress,
  ingressClass,
  service,
  slice,
  type EndpointState,
} from "../testing/routing-script.ts";
import { replayTranscript } from "../testing/transcript.ts";
import { routeRequest } from "./request-route.ts";
import { RoutingBuilder } from "./routing-builder.ts";
import { portFor } from "./way-in.ts";

const testdata = join(import.meta.dir, "testdata");

/** Options are `name=value` words; what is left are arguments. */
function wordsOf(line: string): { words: string[]; options: Map<string, string> } {
  const all = line.trim().split(/\s+/);
  const options = new Map<string, string>();
  const words = all.filter((word) => {
    const parts = /^([a-zA-Z-]+)=(.*)$/.exec(word);
    if (parts !== null) options.set(parts[1] ?? "", parts[2] ?? "");
    return parts === null;
  });
  return { words, options };
}

class Script {
  readonly #builder = new RoutingBuilder();

  run(command: string): string {
    const [first = "", ...rest] = command.split("\n");
    const { words, options } = wordsOf(first);
    const [verb = "", key = "", ...args] = words;
    switch (verb) {
      case "service":
        return this.#service(key, args, options);
      case "slice":
        return this.#slice(key, args, options);
      case "class": {
        const controller = options.get("controller") ?? "kubun.dev/ingress";
        const isDefault = options.get("default") === "true";
        this.#builder.setIngressClass(ingressClass(key, { controller, isDefault }));
        return "ok";
      }
      case "ingress": {
        const className = options.get("class");
        const annotation = options.get("annotation");
        const created = options.get("created");
        this.#builder.setIngress(
          ingress(key, rest, {
            ...(className === undefined ? {} : { className }),
            ...(annotation === undefined ? {} : { annotation }),
            ...(created === undefined ? {} : { created }),
          }),
        );
        return "ok";
      }
      case "delete":
        return this.#delete(key, args[0] ?? "");
      case "ports":
        return this.#ports();
      case "route":
        return rest.map((line) => this.#route(line)).join("\n");
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #service(key: string, args: string[], options: Map<string, string>): string {
    const ports = args.map((arg) => {
      const [name = "", port = "", nodePort] = arg.split(":");
      return {
        port: Number(port),
        ...(name === "-" ? {} : { name }),
        ...(nodePort === undefined ? {} : { nodePort: Number(nodePort) }),
      };
    });
    this.#builder.setService(
      service(key, {
        ports,
        clusterIP: options.get("ip") ?? "None",
        type: options.get("type") ?? "ClusterIP",
        sessionAffinity: options.get("affinity") ?? "None",
      }),
    );
    return "ok";
  }

  #slice(key: string, args: string[], options: Map<string, string>): string {
    const [port = "", ...addresses] = args;
    const states = Object.fromEntries(
      addresses.map((each) => each.split(":") as [string, EndpointState]),
    );
    const name = options.get("name");
    const where = { port: Number(port), ...(name === undefined ? {} : { name }) };
    this.#builder.setEndpointSlice(slice(key, where, states));
    return "ok";
  }

  #delete(kind: string, key: string): string {
    const [namespace = "", name = ""] = key.split("/");
    if (kind === "service") this.#builder.deleteService({ metadata: { namespace, name } });
    else if (kind === "ingress") this.#builder.deleteIngress({ metadata: { namespace, name } });
    else this.#builder.deleteEndpointSlice({ metadata: { namespace, name } });
    return "ok";
  }

  #ports(): string {
    const before = this.#builder.build();
    expect(this.#builder.build()).toBe(before);
    const lines = [...before.ports.values()].map((port) =>
      [
        port.key,
        `name=${port.name}`,
        `ip=${port.clusterIp ?? "-"}`,
        `nodePort=${port.nodePort ?? "-"}`,
        `affinity=${port.affinitySeconds ?? "-"}`,
        `→ ${port.endpoints.map((endpoint) => endpoint.key).join(" ") || "nothing"}`,
      ].join(" "),
    );
    return lines.length === 0 ? "none" : lines.sort().join("\n");
  }

  #route(line: string): string {
    const slash = line.indexOf("/");
    const route = routeRequest(this.#builder.build(), line.slice(0, slash), line.slice(slash));
    switch (route.type) {
      case "port":
        return `${line} → ${route.port.key}`;
      case "no-rule":
        return `${line} → no rule`;
      case "no-service":
        return `${line} → Service ${route.backend.service} has no port ${route.backend.port}`;
    }
  }
}

describe("routing", () => {
  for (const file of readdirSync(testdata).sort()) {
    test(`routing: ${file} replays as recorded`, () => {
      const script = new Script();
      const transcript = replayTranscript(join(testdata, file), (command) => script.run(command));
      expect(transcript.replayed).toBe(transcript.recorded);
    });
  }
});

describe("RoutingBuilder", () => {
  test("RoutingBuilder keeps the identity of Services that did not change", () => {
    const builder = new RoutingBuilder();
    builder.setService(service("d/a", { clusterIP: "127.43.0.1", ports: [{ port: 80 }] }));
    builder.setService(service("d/b", { clusterIP: "127.43.0.2", ports: [{ port: 80 }] }));
    builder.setEndpointSlice(slice("d/a", { port: 8080 }, { "127.42.0.1": "ready" }));
    const before = builder.build();
    builder.setEndpointSlice(slice("d/b", { port: 8080 }, { "127.42.0.2": "ready" }));
    const after = builder.build();
    expect(after).not.toBe(before);
    expect(after.ports.get("d/a:80")).toBe(before.ports.get("d/a:80"));
    builder.setEndpointSlice(slice("d/b", { port: 8080 }, { "127.42.0.2": "ready" }));
    expect(builder.build()).toBe(after);
  });

  test("RoutingBuilder keeps TCP and UDP of one number apart", () => {
    const builder = new RoutingBuilder();
    const ports = [
      { name: "udp", port: 53, protocol: "UDP" },
      { name: "tcp", port: 53, protocol: "TCP" },
    ];
    builder.setService(service("d/dns", { clusterIP: "127.43.0.1", ports }));
    builder.setService(
      service("d/only", { clusterIP: "127.43.0.2", ports: [{ port: 53, protocol: "UDP" }] }),
    );
    builder.setIngress(ingress("d/main", ["Prefix /x only:53"], { className: "kubun" }));
    const table = builder.build();
    expect([...table.ports.keys()].sort()).toEqual(["d/dns:53", "d/dns:53/UDP", "d/only:53/UDP"]);
    expect(routeRequest(table, "", "/x").type).toBe("no-service");
  });

  test("RoutingBuilder tells which endpoints are on its node", () => {
    const builder = new RoutingBuilder("here");
    const spec = { clusterIP: "127.43.0.1", ports: [{ port: 80 }] };
    builder.setService(service("d/web", { ...spec, internalTrafficPolicy: "Local" }));
    const found = slice("d/web", { port: 80 }, { "127.42.0.1": "ready", "127.42.0.2": "ready" });
    const [here, there] = found.endpoints ?? [];
    if (here === undefined || there === undefined) throw new Error("no endpoints");
    const endpoints = [
      { ...here, nodeName: "here" },
      { ...there, nodeName: "there" },
    ];
    builder.setEndpointSlice({ ...found, endpoints });
    const port = builder.build().ports.get("d/web:80");
    if (port === undefined) throw new Error("no port");
    expect(portFor(port, "ClusterIP").endpoints.map(({ ip }) => ip)).toEqual(["127.42.0.1"]);
    expect(portFor(port, "NodePort")).toBe(port);
  });
});
