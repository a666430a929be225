import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "../../client/index.ts";
import { CLUSTER_DOMAIN, ClusterZone } from "../../dns/index.ts";
import { drainMicrotasks, ManualClock, silentLogger } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { EgressServer } from "../egress/egress-server.ts";
import { ServiceListeners } from "../l4/service-listeners.ts";
import { IngressServer } from "../l7/ingress-server.ts";
import { createEndpointDial } from "../net/endpoint-dialer.ts";
import { EndpointStates } from "../net/endpoint-states.ts";
import { RoutingBuilder } from "../routing/routing-builder.ts";
import { answering, ok, RawClient, RawServer, wallClock } from "../testing/raw-socket.ts";
import { ingress, service, slice } from "../testing/routing-script.ts";
import { HOLD_MS, MAX_HOLDS, Sleepers, WAKES_ANNOTATION, type Waiting } from "./sleepers.ts";

const CLUSTER_IP = "127.43.78.1";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

describe("Sleepers", () => {
  let asked: string[];
  let builder: RoutingBuilder;

  function sleepers(clock = new ManualClock(), options = {}): Sleepers {
    const client = createClient({
      fetch: async (request) => {
        asked.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
        return new Response("{}", { headers: { "content-type": "application/json" } });
      },
      userAgent: "test",
    });
    return new Sleepers({ client, clock, logger: silentLogger, ...options });
  }

  beforeEach(() => {
    asked = [];
    builder = new RoutingBuilder();
    const web = service("d/web", { clusterIP: CLUSTER_IP, ports: [{ port: 18_080 }] });
    web.metadata.annotations = { [WAKES_ANNOTATION]: "web" };
    builder.setService(web);
    builder.setIngress(ingress("d/main", ["Prefix / web:18080"], { className: "kubun" }));
  });

  function port() {
    const found = builder.build().ports.get("d/web:18080");
    if (found === undefined) throw new Error("no port");
    return found;
  }

  function wait(told: string[]): Waiting {
    return { onReady: () => told.push("ready"), onLate: () => told.push("late") };
  }

  function awaken(ip = "10.0.0.1"): void {
    builder.setEndpointSlice(slice("d/web", { port: 8080 }, { [ip]: "ready" }));
  }

  test("Sleepers: ask for one replica, and again while somebody waits", async () => {
    const clock = new ManualClock();
    const held = sleepers(clock);
    const told: string[] = [];
    expect(held.hold(port(), 10, wait(told)).type).toBe("held");
    expect(held.hold(port(), 10, wait(told)).type).toBe("held");
    await drainMicrotasks();
    await eventually(() => asked.length === 1);
    expect(asked[0]).toBe(
      "PATCH /apis/apps/v1/namespaces/d/deployments/web/scale " +
        '[{"op":"test","path":"/spec/replicas","value":0},' +
        '{"op":"replace","path":"/spec/replicas","value":1}]',
    );
    clock.advance(1_000);
    await eventually(() => asked.length === 2);
    awaken();
    held.update(builder.build());
    expect([told, held.count]).toEqual([["ready", "ready"], 0]);
    clock.advance(HOLD_MS);
    await drainMicrotasks();
    expect([told.length, asked.length]).toEqual([2, 2]);
  });

  test("Sleepers: what fell asleep again is asked for at once", async () => {
    const held = sleepers();
    for (const ip of ["10.0.0.1", "10.0.0.2"]) {
      const before = asked.length;
      held.hold(port(), 0, wait([]));
      await eventually(() => asked.length === before + 1);
      awaken(ip);
      held.update(builder.build());
      builder.setEndpointSlice(slice("d/web", { port: 8080 }, {}));
    }
    expect(held.count).toBe(0);
  });

  test("Sleepers: who waited too long is told, who left is forgotten", () => {
    const clock = new ManualClock();
    const held = sleepers(clock);
    const told: string[] = [];
    const left = held.hold(port(), 0, wait(told));
    held.hold(port(), 0, wait(told));
    if (left.type === "held") left.cancel();
    clock.advance(HOLD_MS);
    expect([told, held.count]).toEqual([["late"], 0]);
  });

  test("Sleepers: only another endpoint than the one tried ends the wait", () => {
    awaken();
    const held = sleepers();
    const told: string[] = [];
    held.hold(port(), 0, wait(told));
    held.update(builder.build());
    expect(told).toEqual([]);
    builder.setEndpointSlice(slice("d/web", { port: 8080 }, { "10.0.0.2": "ready" }));
    held.update(builder.build());
    expect(told).toEqual(["ready"]);
  });

  test("Sleepers: each limit refuses, and what left makes room", () => {
    const held = sleepers(new ManualClock(), { maxHeldPerPort: 2, maxHeldBytes: 100 });
    const first = held.hold(port(), 60, wait([]));
    expect(held.hold(port(), 60, wait([])).type).toBe("full");
    expect(held.hold(port(), 40, wait([])).type).toBe("held");
    expect(held.hold(port(), 0, wait([])).type).toBe("full");
    if (first.type === "held") first.cancel();
    expect(held.hold(port(), 60, wait([])).type).toBe("held");
    expect(held.hold({ ...port(), wakes: "" }, 0, wait([])).type).not.toBe("awake");
    const { wakes: _, ...awake } = port();
    expect(held.hold(awake, 0, wait([])).type).toBe("awake");
  });

  describe("in front of a Service that sleeps", () => {
    let directory: string;
    let close: (() => void)[];

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), "kubun-wake-"));
      close = [];
    });

    afterEach(() => {
      for (const each of close) each();
      rmSync(directory, { recursive: true });
    });

    function front(options = {}) {
      const states = new EndpointStates(wallClock);
      const held = sleepers(wallClock as ManualClock, options);
      const endpointSocket = (): string => join(directory, "pod");
      const dial = createEndpointDial({ endpointSocket });
      const shared = { clock: wallClock, logger: silentLogger, states, dial, sleepers: held };
      const http = new IngressServer(shared);
      const egress = new EgressServer({
        ...shared,
        zone: new ClusterZone({ domain: CLUSTER_DOMAIN, view: builder }),
        service: (namespace, name) => builder.service(namespace, name),
        nodeOfPod: () => undefined,
      });
      const tcp = new ServiceListeners({
        ...shared,
        addresses: { nodePort: "127.0.0.1", loadBalancer: "127.0.0.1" },
        onBindFailure: ({ message }) => {
          throw new Error(message);
        },
      });
      const ingressPort = http.listen({ hostname: "127.0.0.1", port: 0 });
      egress.open(join(directory, "egress"), { namespace: "d", allows: () => true });
      close.push(
        () => http.close(),
        () => egress.close(),
        () => tcp.close(),
      );
      const update = (): void => {
        const table = builder.build();
        http.update(table, []);
        egress.update(table, []);
        tcp.update(table);
        held.update(table);
      };
      update();
      return { held, update, ingressPort };
    }

    async function client(to: Parameters<typeof RawClient.connect>[0]): Promise<RawClient> {
      const made = await RawClient.connect(to);
      close.push(() => made.close());
      made.write(GET);
      return made;
    }

    test("Sleepers: requests, connections and egress wait and are answered", async () => {
      const { held, update, ingressPort } = front();
      const all = [
        await client({ port: ingressPort }),
        await client({ hostname: CLUSTER_IP, port: 18_080 }),
        await RawClient.connect({ unix: join(directory, "egress") }),
      ];
      close.push(() => all[2]?.close());
      all[2]?.write("GET / HTTP/1.1\r\nHost: web:18080\r\n\r\n");
      await eventually(() => held.count === 3);
      expect(new Set(asked).size).toBe(1);
      const pod = new RawServer(join(directory, "pod"), answering(ok("awake")));
      close.push(() => pod.close());
      awaken();
      update();
      for (const each of all) await each.sees("awake");
      expect(held.count).toBe(0);
    });

    test("Sleepers: who meets a pod that ends waits again", async () => {
      const { held, update, ingressPort } = front();
      const all = [
        await client({ port: ingressPort }),
        await client({ hostname: CLUSTER_IP, port: 18_080 }),
      ];
      for (const ip of ["10.0.0.1", "10.0.0.2"]) {
        await eventually(() => held.count === 2);
        awaken(ip);
        update();
      }
      await eventually(() => held.count === 2);
      const pod = new RawServer(join(directory, "pod"), answering(ok("awake")));
      close.push(() => pod.close());
      awaken("10.0.0.3");
      update();
      for (const each of all) await each.sees("awake");
    });

    test("Sleepers: a request that asks for TLS waits too, and then speaks it", async () => {
      const { held, update } = front();
      const asking = await RawClient.connect({ unix: join(directory, "egress") });
      close.push(() => asking.close());
      asking.write("GET / HTTP/1.1\r\nHost: web:18080\r\nX-Kubun-Scheme: https\r\n\r\n");
      await eventually(() => held.count === 1);
      const pod = new RawServer(join(directory, "pod"), {});
      close.push(() => pod.close());
      awaken();
      update();
      // A handshake begins with record type 22; nothing of the request goes out in plain text.
      await eventually(() => pod.connections[0]?.text.startsWith("\x16\x03"));
      expect(held.count).toBe(0);
    });

    test("Sleepers: MAX_HOLDS waits in vain end in 502, or in a reset", async () => {
      const { held, update, ingressPort } = front();
      const request = await client({ port: ingressPort });
      const connection = await client({ hostname: CLUSTER_IP, port: 18_080 });
      for (let wait = 1; wait <= MAX_HOLDS; wait++) {
        await eventually(() => held.count === 2);
        awaken(`10.0.0.${wait}`);
        update();
      }
      expect(await request.sees("no endpoint of Service d/web answers")).toStartWith(
        "HTTP/1.1 502 ",
      );
      await connection.isClosed();
      expect(held.count).toBe(0);
    });

    test("Sleepers: at the limit a request gets 503, a connection a reset", async () => {
      const { held, ingressPort } = front({ maxHeldPerPort: 1 });
      const first = await client({ port: ingressPort });
      await eventually(() => held.count === 1);
      const second = await client({ port: ingressPort });
      const text = await second.sees("too many requests wait");
      expect(text).toStartWith("HTTP/1.1 503 ");
      expect(text).toContain("Retry-After: 1");
      const third = await client({ hostname: CLUSTER_IP, port: 18_080 });
      await third.isClosed();
      first.close();
      await eventually(() => held.count === 0);
    });
  });
});
