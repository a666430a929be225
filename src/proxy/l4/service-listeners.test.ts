import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { createEndpointDial } from "../net/endpoint-dialer.ts";
import { EndpointStates } from "../net/endpoint-states.ts";
import type { Endpoint, RoutingTable, ServicePort } from "../routing/routing-table.ts";
import { NO_RULES } from "../routing/ingress-rules.ts";
import { RawClient, RawServer, wallClock, type ServerScript } from "../testing/raw-socket.ts";
import { ClientAffinity, MAX_REMEMBERED_CLIENTS } from "./client-affinity.ts";
import { desiredListeners } from "./listener-plan.ts";
import { ServiceListeners, type BindFailure } from "./service-listeners.ts";

describe("l4", () => {
  let directory: string;
  let listeners: ServiceListeners;
  let states: EndpointStates;
  let failures: BindFailure[];
  let servers: RawServer[];
  let clients: RawClient[];
  let port: number;

  const HOST = "127.0.0.1";

  function servicePort(name: string, ips: readonly string[], more: Partial<ServicePort> = {}) {
    const endpoints = ips.map((ip): Endpoint => ({ key: `${ip}:80`, ip, port: 80 }));
    const found: ServicePort = {
      key: `d/${name}:${port}`,
      namespace: "d",
      service: name,
      name: "",
      port,
      protocol: "TCP",
      clusterIp: HOST,
      endpoints,
      ...more,
    };
    return found;
  }

  function tableOf(...ports: ServicePort[]): RoutingTable {
    return { ports: new Map(ports.map((each) => [each.key, each])), ingress: NO_RULES };
  }

  function update(...ports: ServicePort[]): void {
    const table = tableOf(...ports);
    states.retain(table);
    listeners.update(table);
  }

  /** A port nobody has at this moment. */
  async function freePort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    const address = server.address();
    await new Promise((resolve) => server.close(resolve));
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  function backend(ip: string, script: ServerScript): RawServer {
    const made = new RawServer(join(directory, `${ip}.sock`), script);
    servers.push(made);
    return made;
  }

  async function connect(options?: { keepText: boolean }): Promise<RawClient> {
    const made = await RawClient.connect({ port }, options);
    clients.push(made);
    return made;
  }

  function greeting(name: string): ServerScript {
    return { onOpen: (connection) => connection.send(name) };
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "kubun-proxy-"));
    servers = [];
    clients = [];
    failures = [];
    states = new EndpointStates(wallClock);
    port = await freePort();
    listeners = new ServiceListeners({
      clock: wallClock,
      logger: silentLogger,
      states,
      dial: createEndpointDial({ endpointSocket: (ip) => join(directory, `${ip}.sock`) }),
      addresses: { nodePort: HOST, loadBalancer: HOST },
      onBindFailure: (failure) => failures.push(failure),
    });
  });

  afterEach(() => {
    for (const each of clients) each.close();
    listeners.close();
    for (const each of servers) each.close();
    rmSync(directory, { recursive: true });
  });

  describe("ServiceListeners", () => {
    test("ServiceListeners joins clients to endpoints in turn", async () => {
      backend("10.0.0.1", greeting("one"));
      backend("10.0.0.2", greeting("two"));
      update(servicePort("web", ["10.0.0.1", "10.0.0.2"]));
      const seen: string[] = [];
      for (let count = 0; count < 4; count++) {
        const client = await connect();
        await eventually(() => client.text !== "");
        seen.push(client.text);
      }
      expect(seen.sort()).toEqual(["one", "one", "two", "two"]);
    });

    test("ServiceListeners passes what was sent before an endpoint was found", async () => {
      const web = backend("10.0.0.1", {
        onData: (connection, all) => connection.send(`got ${all}`),
      });
      update(servicePort("web", ["10.0.0.9", "10.0.0.1"]));
      for (let count = 0; count < 4; count++) {
        const client = await connect();
        client.write("early");
        await client.sees("got early");
      }
      expect(web.connections.length).toBe(4);
    });

    test("ServiceListeners lets either side end first", async () => {
      backend("10.0.0.1", {
        onEnd(connection) {
          connection.send(`all ${connection.receivedBytes}`);
          connection.socket.shutdown();
        },
      });
      update(servicePort("web", ["10.0.0.1"]));
      const client = await connect();
      client.write(Buffer.alloc(3_000_000));
      client.finish();
      await client.sees("all 3000000");
      await client.isClosed();
      await eventually(() => listeners.counts.connections === 0);
    });

    test("ServiceListeners refuses connections to a Service without endpoints", async () => {
      backend("10.0.0.1", greeting("one"));
      update(servicePort("web", ["10.0.0.1"]));
      const before = await connect();
      await before.sees("one");
      update(servicePort("web", []));
      expect(listeners.counts.listeners).toBe(0);
      const outcome = await connect().then(
        () => "connected",
        () => "refused",
      );
      expect(outcome).toBe("refused");
      expect(before.closed).toBe(false);
      update(servicePort("web", ["10.0.0.1"]));
      await (await connect()).sees("one");
    });

    test("ServiceListeners resets a connection that no endpoint takes", async () => {
      update(servicePort("web", ["10.0.0.8", "10.0.0.9"]));
      const client = await connect();
      await eventually(() => client.closed);
      await eventually(() => listeners.counts.connections === 0);
    });

    test("ServiceListeners holds a fast side back for a slow one", async () => {
      const total = 24 * 1024 * 1024;
      const web = backend("10.0.0.1", { onOpen: (connection) => connection.socket.pause() });
      update(servicePort("web", ["10.0.0.1"]));
      const client = await connect();
      client.write(Buffer.alloc(total));
      let before = -1;
      await eventually(() => {
        const settled = web.connections.length > 0 && client.pendingBytes === before;
        before = client.pendingBytes;
        return settled;
      });
      expect(client.pendingBytes).toBeGreaterThan(total / 4);
      web.connections[0]?.socket.resume();
      await eventually(() => web.connections[0]?.receivedBytes === total);
    });

    test("ServiceListeners tells a failed bind once, and tries a changed Service", async () => {
      const other = Bun.listen({ hostname: HOST, port, socket: { data: () => undefined } });
      backend("10.0.0.1", greeting("one"));
      update(servicePort("web", ["10.0.0.1"]));
      update(servicePort("web", ["10.0.0.1", "10.0.0.2"]));
      expect(failures.map((failure) => failure.message)).toEqual([
        `ClusterIP ${HOST}:${port} cannot be listened on: another process has it`,
      ]);
      other.stop(true);
      update(servicePort("web", ["10.0.0.1"], { name: "renamed" }));
      await (await connect()).sees("one");
      expect(failures.length).toBe(1);
    });

    test("ServiceListeners handles hundreds of Services", async () => {
      backend("10.0.0.1", greeting("one"));
      const ports = Array.from({ length: 500 }, (_, index) =>
        servicePort(`s${index}`, ["10.0.0.1"], {
          key: `d/s${index}:${port}`,
          clusterIp: `127.43.${100 + (index >> 8)}.${index & 255}`,
        }),
      );
      update(...ports);
      expect(failures).toEqual([]);
      expect(listeners.counts.listeners).toBe(500);
      const last = await RawClient.connect({ hostname: "127.43.101.243", port });
      clients.push(last);
      await last.sees("one");
    });
  });

  describe("desiredListeners", () => {
    test("desiredListeners leaves out what cannot be served and settles conflicts", () => {
      const { clusterIp: _, ...headless } = servicePort("headless", ["10.0.0.1"]);
      const specs = desiredListeners(
        tableOf(
          headless,
          servicePort("udp", ["10.0.0.1"], { protocol: "UDP" }),
          servicePort("empty", []),
          servicePort("b", ["10.0.0.1"], { nodePort: 30_001 }),
          servicePort("a", ["10.0.0.1"]),
        ),
        "TCP",
        { nodePort: "0.0.0.0", loadBalancer: HOST },
      );
      expect(
        [...specs.values()].map((spec) => `${spec.kind} ${spec.key} ${spec.servicePort.service}`),
      ).toEqual([`ClusterIP ${HOST}:${port} a`, "NodePort 0.0.0.0:30001 b"]);
    });
  });

  describe("ClientAffinity", () => {
    test("ClientAffinity recalls an endpoint until its time is over or it is gone", () => {
      const clock = new ManualClock();
      const known = new EndpointStates(clock);
      const affinity = new ClientAffinity(clock, known);
      const web = servicePort("web", ["10.0.0.1", "10.0.0.2"], { affinitySeconds: 10 });
      const first = known.choose(web, new Set());
      if (first === undefined) throw new Error("no endpoint");
      affinity.remember(web, "1.1.1.1", first);
      expect(affinity.recall(web, "1.1.1.1", new Set())).toBe(first);
      expect(affinity.recall(web, "2.2.2.2", new Set())).toBeUndefined();
      expect(affinity.recall(web, "1.1.1.1", new Set([first.endpoint.key]))).toBeUndefined();
      expect(affinity.recall({ ...web, endpoints: [] }, "1.1.1.1", new Set())).toBeUndefined();
      clock.advance(10_001);
      expect(affinity.recall(web, "1.1.1.1", new Set())).toBeUndefined();
      for (let count = 0; count < MAX_REMEMBERED_CLIENTS + 10; count++) {
        affinity.remember(web, `10.1.${count >> 8}.${count & 255}`, first);
      }
      expect(affinity.size).toBe(MAX_REMEMBERED_CLIENTS);
    });
  });
});
