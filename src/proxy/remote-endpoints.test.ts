import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket, SocketHandler } from "bun";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EndpointSlice, Node } from "../api/index.ts";
import {
  createClient,
  ENDPOINT_SLICES,
  INGRESS_CLASSES,
  INGRESSES,
  NODES,
  SERVICES,
} from "../client/index.ts";
import { FakeApi } from "../client/testing/fake-api.ts";
import { ManualClock, silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { BIND_RETRY_MS, ServiceListeners } from "./l4/service-listeners.ts";
import { CONNECT_TIMEOUT_MS } from "./l4/splice.ts";
import { createEndpointDial, type EndpointDial } from "./net/endpoint-dialer.ts";
import {
  EndpointStates,
  FAILED_ENDPOINT_PAUSE_MS,
  MAX_FAILED_ENDPOINT_PAUSE_MS,
} from "./net/endpoint-states.ts";
import type { RemoteDialer } from "./net/remote-dialer.ts";
import { createProxy, type Proxy } from "./proxy.ts";
import { NO_RULES } from "./routing/ingress-rules.ts";
import type { RoutingTable, ServicePort } from "./routing/routing-table.ts";
import { answering, ok, RawClient, RawServer, wallClock } from "./testing/raw-socket.ts";
import { ingress, ingressClass, service, slice } from "./testing/routing-script.ts";

const HOST = "127.0.0.1";

describe("endpoints on other nodes", () => {
  let directory: string;
  let api: FakeApi;
  let stop: AbortController;
  let servers: RawServer[];
  let dialled: string[];
  let proxy: Proxy;

  /** Tunnels are Unix sockets here, named after the node and the pod. */
  const dialer: RemoteDialer = {
    dialTunnel<Data>(
      address: string,
      target: { ip: string; port: number },
      data: Data,
      socket: SocketHandler<Data>,
      node: string,
    ): void {
      dialled.push(`${node} at ${address} ${target.ip}:${target.port}`);
      const unix = join(directory, `${address}-${target.ip}`);
      Bun.connect({ unix, allowHalfOpen: true, data, socket }).catch(() => undefined);
    },
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-remote-"));
    api = new FakeApi({ clock: wallClock });
    stop = new AbortController();
    servers = [];
    dialled = [];
    proxy = createProxy({
      client: createClient({ fetch: api.fetch, userAgent: "test" }),
      clock: wallClock,
      logger: silentLogger,
      endpointSocket: (ip) => (ip.startsWith("10.0.1.") ? join(directory, ip) : undefined),
      remote: { nodeName: "here", dialer },
      nodePortAddress: HOST,
      ingress: { hostname: HOST, port: 0 },
      publishesIngressStatus: () => false,
    });
    const options = { controller: "kubun.dev/ingress", isDefault: true };
    api.seed(INGRESS_CLASSES, {
      ...ingressClass("kubun", options),
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
    });
    api.seed(SERVICES, service("d/web", { clusterIP: "None", ports: [{ port: 80 }] }));
    api.seed(INGRESSES, ingress("d/main", ["Prefix / web:80"]));
  });

  afterEach(() => {
    stop.abort();
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true });
  });

  function pod(socket: string, says: string): RawServer {
    const made = new RawServer(join(directory, socket), answering(ok(says)));
    servers.push(made);
    return made;
  }

  function node(name: string, address: string): Node {
    const annotations = { "kubun.dev/peer-address": address };
    return api.seed(NODES, { apiVersion: "v1", kind: "Node", metadata: { name, annotations } });
  }

  /** Ready endpoints, as ip → node. */
  function endpoints(places: Readonly<Record<string, string>>): EndpointSlice {
    const ready = Object.fromEntries(Object.keys(places).map((ip) => [ip, "ready" as const]));
    const made = slice("d/web", { port: 8080 }, ready);
    for (const endpoint of made.endpoints ?? []) {
      endpoint.nodeName = places[endpoint.addresses[0] ?? ""] ?? "";
    }
    return api.seed(ENDPOINT_SLICES, made);
  }

  async function get(port: number): Promise<string> {
    return (await fetch(`http://${HOST}:${port}/`)).text();
  }

  test("createProxy: reaches a pod of another node by its peer address, and again", async () => {
    const remote = pod("peer-b:10250-10.0.2.1", "from b");
    pod("10.0.1.1", "from here");
    node("b", "peer-b:10250");
    endpoints({ "10.0.2.1": "b", "10.0.1.1": "here" });
    const { ingressPort } = await proxy.start(stop.signal);
    const seen = new Set<string>();
    for (let count = 0; count < 6; count++) seen.add(await get(ingressPort));
    expect([...seen].sort()).toEqual(["from b", "from here"]);
    expect(dialled).toEqual(["b at peer-b:10250 10.0.2.1:8080"]);
    expect(remote.connections).toHaveLength(1);
  });

  test("createProxy: one whose node refuses is followed by another", async () => {
    pod("peer-c:1-10.0.3.1", "from c");
    node("b", "peer-b:1");
    node("c", "peer-c:1");
    endpoints({ "10.0.2.1": "b", "10.0.3.1": "c" });
    const { ingressPort } = await proxy.start(stop.signal);
    for (let count = 0; count < 6; count++) expect(await get(ingressPort)).toBe("from c");
    expect(dialled.filter((one) => one.startsWith("b at peer-b"))).toHaveLength(1);
    const { ended } = await openPort(proxy.dial, "10.0.2.1", "b");
    expect(ended).toBe("refused");
  });

  test("createProxy: a node that moved is met where it is now", async () => {
    const before = node("b", "peer-b:1");
    endpoints({ "10.0.2.1": "b" });
    pod("peer-b:1-10.0.2.1", "old place");
    pod("peer-b:2-10.0.2.1", "new place");
    await proxy.start(stop.signal);
    expect((await openPort(proxy.dial, "10.0.2.1", "b")).ended).toBe("open");
    api.change(NODES, before, ({ metadata }) => {
      metadata.annotations = { "kubun.dev/peer-address": "peer-b:2" };
    });
    await eventually(async () => {
      await openPort(proxy.dial, "10.0.2.1", "b");
      return dialled.at(-1) === "b at peer-b:2 10.0.2.1:8080";
    });
  });

  function openPort(dial: EndpointDial, ip: string, place: string): Promise<{ ended: string }> {
    return new Promise((resolve) => {
      const handler: SocketHandler<undefined> = {
        open: (socket: Socket) => {
          socket.terminate();
          resolve({ ended: "open" });
        },
        data: () => undefined,
        connectError: () => resolve({ ended: "refused" }),
      };
      dial({ key: `${ip}:8080`, ip, port: 8080, node: place }, undefined, handler);
    });
  }
});

describe("ServiceListeners", () => {
  let directory: string;
  let clock: ManualClock;
  let listeners: ServiceListeners;
  let failures: number;
  let attempts: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-remote-"));
    clock = new ManualClock();
    failures = 0;
    attempts = [];
    const near = createEndpointDial({ endpointSocket: (ip) => join(directory, ip) });
    listeners = new ServiceListeners({
      clock,
      logger: silentLogger,
      states: new EndpointStates(clock),
      dial: (endpoint, data, handler) => {
        attempts.push(endpoint.ip);
        return endpoint.ip === "10.0.0.9" ? "far" : near(endpoint, data, handler);
      },
      addresses: { nodePort: HOST, loadBalancer: HOST },
      onBindFailure: () => failures++,
    });
  });

  afterEach(() => {
    listeners.close();
    rmSync(directory, { recursive: true });
  });

  function tableOf(port: number, ips: readonly string[]): RoutingTable {
    const endpoints = ips.map((ip) => ({ key: `${ip}:80`, ip, port: 80 }));
    const web: ServicePort = {
      key: `d/web:${port}`,
      namespace: "d",
      service: "web",
      name: "",
      port,
      protocol: "TCP",
      clusterIp: HOST,
      endpoints,
    };
    return { ports: new Map([[web.key, web]]), ingress: NO_RULES };
  }

  function hold(port = 0) {
    return Bun.listen({ hostname: HOST, port, socket: { data: () => undefined } });
  }

  test("ServiceListeners: a silent endpoint is given up, and nothing sent is lost", async () => {
    const backend = new RawServer(join(directory, "10.0.0.1"), {
      onData: (connection, all) => connection.send(`got ${all}`),
    });
    const holder = hold();
    const { port } = holder;
    holder.stop(true);
    listeners.update(tableOf(port, ["10.0.0.9", "10.0.0.1"]));
    const clients: RawClient[] = [];
    for (let count = 0; count < 2; count++) {
      const client = await RawClient.connect({ port });
      clients.push(client);
      client.write("early");
    }
    await eventually(() => attempts.includes("10.0.0.9"));
    clock.advance(CONNECT_TIMEOUT_MS);
    for (const client of clients) {
      expect(await client.sees("got early")).toBe("got early");
      client.close();
    }
    backend.close();
  });

  test("ServiceListeners: takes an address over once its holder is gone", () => {
    const holder = hold();
    listeners.update(tableOf(holder.port, ["10.0.0.1"]));
    clock.advance(3 * BIND_RETRY_MS);
    expect([listeners.counts.listeners, failures]).toEqual([0, 1]);
    holder.stop(true);
    clock.advance(BIND_RETRY_MS);
    expect([listeners.counts.listeners, failures, clock.pending]).toEqual([1, 1, 0]);
  });
});

describe("EndpointStates", () => {
  test("EndpointStates: one that keeps failing is passed over for longer and longer", () => {
    const clock = new ManualClock();
    const states = new EndpointStates(clock);
    const state = states.stateOf({ key: "a:1", ip: "a", port: 1 });
    const pauses: number[] = [];
    for (let failure = 0; failure < 8; failure++) {
      states.markFailed(state);
      pauses.push((state.failedUntilMs - clock.monotonic()) / FAILED_ENDPOINT_PAUSE_MS);
    }
    expect(pauses.slice(0, 6)).toEqual([1, 2, 4, 8, 16, 30]);
    expect(pauses.at(-1)).toBe(MAX_FAILED_ENDPOINT_PAUSE_MS / FAILED_ENDPOINT_PAUSE_MS);
    states.markAlive(state);
    states.markFailed(state);
    expect(state.failedUntilMs - clock.monotonic()).toBe(FAILED_ENDPOINT_PAUSE_MS);
  });
});
