import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ManualClock, silentLogger } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { EndpointStates } from "../net/endpoint-states.ts";
import { NO_RULES } from "../routing/ingress-rules.ts";
import type { RoutingTable, ServicePort } from "../routing/routing-table.ts";
import { DatagramListeners, FLOW_IDLE_MS } from "./datagram-listeners.ts";
import type { BindFailure } from "./service-listeners.ts";

const HOST = "127.0.0.1";
const MAX_FLOWS = 3;

type Udp = Bun.udp.Socket<"buffer">;

describe("DatagramListeners", () => {
  let clock: ManualClock;
  let states: EndpointStates;
  let listeners: DatagramListeners;
  let failures: BindFailure[];
  let sockets: Udp[];
  let port: number;

  async function udp(
    received: (text: string, port: number) => string | undefined,
    hostname = HOST,
  ): Promise<Udp> {
    const socket: Udp = await Bun.udpSocket({
      hostname,
      socket: {
        data(_socket, data, from) {
          const answer = received(data.toString(), from);
          if (answer !== undefined) socket.send(answer, from, HOST);
        },
      },
    });
    sockets.push(socket);
    return socket;
  }

  /** A server that answers with its name. */
  function named(name: string): Promise<Udp> {
    return udp((text) => `${name}: ${text}`);
  }

  function servicePort(backends: readonly Udp[], more: Partial<ServicePort> = {}): ServicePort {
    const endpoints = backends.map((each) => ({
      key: `${HOST}:${each.port}`,
      ip: HOST,
      port: each.port,
    }));
    const key = `d/dns:${port}/UDP`;
    const names = { key, namespace: "d", service: "dns", name: "", protocol: "UDP" };
    return { ...names, port, clusterIp: HOST, endpoints, ...more };
  }

  function update(...ports: ServicePort[]): void {
    const table: RoutingTable = {
      ports: new Map(ports.map((each) => [each.key, each])),
      ingress: NO_RULES,
    };
    states.retain(table);
    listeners.update(table);
  }

  async function client(): Promise<{ ask(text: string): Promise<string> }> {
    let heard = "";
    const socket = await udp((text) => void (heard = text));
    return {
      async ask(text) {
        heard = "";
        return eventually(() => {
          // A datagram may come before the listener is there.
          socket.send(text, port, HOST);
          return heard === "" ? undefined : heard;
        });
      },
    };
  }

  beforeEach(async () => {
    clock = new ManualClock();
    states = new EndpointStates(clock);
    failures = [];
    sockets = [];
    const free = await udp(() => undefined);
    port = free.port;
    free.close();
    listeners = new DatagramListeners({
      clock,
      logger: silentLogger,
      states,
      addresses: { nodePort: HOST, loadBalancer: HOST },
      onBindFailure: (failure) => failures.push(failure),
      maxFlows: MAX_FLOWS,
    });
  });

  afterEach(() => {
    listeners.close();
    for (const socket of sockets) if (!socket.closed) socket.close();
  });

  test("DatagramListeners keep a client at its endpoint until that leaves", async () => {
    const [one, two] = [await named("one"), await named("two")];
    update(servicePort([one, two]));
    const asker = await client();
    const first = await asker.ask("hello");
    expect(["one: hello", "two: hello"]).toContain(first);
    expect(await asker.ask("hello")).toBe(first);
    const [left, gone] = first.startsWith("one") ? ["two", one] : ["one", two];
    update(servicePort([gone === one ? two : one]));
    expect(listeners.counts.flows).toBe(0);
    expect(await asker.ask("again")).toBe(`${left}: again`);
  });

  test("DatagramListeners bound their flows, and forget silent ones", async () => {
    update(servicePort([await named("one")]));
    for (let count = 0; count < MAX_FLOWS + 2; count++) await (await client()).ask("hello");
    expect(listeners.counts.flows).toBe(MAX_FLOWS);
    clock.advance(2 * FLOW_IDLE_MS);
    expect(listeners.counts.flows).toBe(0);
    update();
    expect(listeners.counts.listeners).toBe(0);
  });

  test("DatagramListeners let in whom the ranges of a load balancer name", async () => {
    const backend = await named("one");
    const balanced = { loadBalanced: true, sourceRanges: ["127.0.0.1/32"] };
    const { clusterIp: _, ...outside } = servicePort([backend], balanced);
    update(outside);
    const asker = await client();
    expect(await asker.ask("hello")).toBe("one: hello");
    const stranger = await udp(() => undefined, "127.0.0.2");
    stranger.send("hello", port, HOST);
    // Datagrams are taken in the order in which they were sent.
    expect(await asker.ask("again")).toBe("one: again");
    expect(listeners.counts.flows).toBe(1);
  });

  test("DatagramListeners tell of an address that another process has", async () => {
    const holder = await named("holder");
    port = holder.port;
    update(servicePort([await named("one")]));
    const failure = await eventually(() => failures[0]);
    expect(failure.message).toBe(
      `ClusterIP ${HOST}:${port}/UDP cannot be listened on: another process has it`,
    );
    expect(listeners.failedFor("d", "dns")).toBe(true);
  });
});
