import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { decode, encode, RECURSION_DESIRED } from "dns-packet";
import type { DecodedPacket, RecordType } from "dns-packet";
import { ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { listenForDns } from "./cluster-dns.ts";
import type { ClusterDns } from "./cluster-dns.ts";
import { TCP_IDLE_MS } from "./dns-server.ts";
import { UPSTREAM_TIMEOUT_MS } from "./forwarder.ts";
import type { Upstream } from "./forwarder.ts";
import { parseResolvers } from "./machine-resolvers.ts";
import { exchangeOverTcp, exchangeOverUdp } from "./wire-exchange.ts";
import { CLUSTER_DOMAIN, ClusterZone } from "./zone.ts";

const HOST = "127.0.0.1";
const MANY = 60;

/** A headless Service of so many pods that their addresses do not fit a plain datagram. */
function largeZone(): ClusterZone {
  const services = [
    { metadata: { namespace: "d", name: "many" }, spec: { clusterIP: "None" } },
    { metadata: { namespace: "d", name: "one" }, spec: { clusterIP: "127.43.0.5" } },
    {
      metadata: { namespace: "d", name: "out" },
      spec: { type: "ExternalName", externalName: "www.example.com" },
    },
  ];
  const endpoints = Array.from({ length: MANY }, (_, index) => ({
    addresses: [`127.42.0.${index + 1}`],
  }));
  const slice = { metadata: { name: "s" }, addressType: "IPv4", ports: [], endpoints };
  return new ClusterZone({
    domain: CLUSTER_DOMAIN,
    view: {
      service: (namespace, name) =>
        services.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
      services: () => services,
      slicesOf: (_namespace, name) => (name === "many" ? [slice] : []),
    },
  });
}

describe("listenForDns", () => {
  let clock: ManualClock;
  let dns: ClusterDns;
  let upstreams: Upstream[];
  let asked: string[];
  let outside: Bun.udp.Socket<"buffer">;
  let silent = false;

  beforeEach(async () => {
    clock = new ManualClock();
    asked = [];
    silent = false;
    outside = await Bun.udpSocket({
      hostname: HOST,
      socket: {
        data(socket, data, port, address) {
          const { id = 0, questions = [] } = decode(data);
          const name = questions[0]?.name ?? "";
          asked.push(name);
          const known = name === "www.example.com";
          const answers = known ? [{ type: "A", name, ttl: 60, data: "192.0.2.1" } as const] : [];
          const flags = known ? 0 : 3;
          const response = encode({ type: "response", id, flags, questions, answers });
          if (!silent) socket.send(response, port, address);
        },
      },
    });
    upstreams = [{ address: HOST, port: outside.port }];
    const options = { clock, random: new SeededRandom(1), logger: silentLogger };
    dns = await listenForDns({ ...options, zone: largeZone(), upstreams: () => upstreams }, [
      { hostname: "192.0.2.1", port: 0 },
      { hostname: HOST, port: 0 },
    ]);
  });

  afterEach(() => {
    dns.close();
    outside.close();
  });

  async function ask(
    name: string,
    type: RecordType = "A",
    exchange = exchangeOverUdp,
  ): Promise<DecodedPacket> {
    const query = { type: "query", id: 7, flags: RECURSION_DESIRED, questions: [{ name, type }] };
    const { hostname: address, port } = dns.address;
    const never = new AbortController().signal;
    const answer = await exchange({ address, port }, encode({ ...query, type: "query" }), never);
    return decode(Buffer.from(answer));
  }

  function shown({ flags = 0, answers = [], authorities = [] }: DecodedPacket): string {
    const data = answers
      .map((each) => ("data" in each && typeof each.data === "string" ? each.data : each.type))
      .join(" ");
    const zone = authorities.map(({ type }) => type).join(" ");
    return [flags & 15, data, zone].filter((part) => part !== "").join(" ");
  }

  test("listenForDns answers with addresses, with nothing, and that there is no name", async () => {
    expect(shown(await ask("one.d.svc.cluster.local"))).toBe("0 127.43.0.5");
    expect(shown(await ask("one.d.svc.cluster.local", "AAAA"))).toBe("0 SOA");
    expect(shown(await ask("none.d.svc.cluster.local"))).toBe("3 SOA");
    const found = await ask("ONE.d.svc.cluster.local");
    expect([found.id, found.flag_aa, found.flag_ra, found.flag_rd]).toEqual([7, true, true, true]);
    expect(asked).toEqual([]);
  });

  test("listenForDns gives over TCP what does not fit a datagram", async () => {
    const short = await ask("many.d.svc.cluster.local");
    expect([short.flag_tc, short.answers?.length]).toEqual([true, 0]);
    const whole = await ask("many.d.svc.cluster.local", "A", exchangeOverTcp);
    expect([whole.flag_tc, whole.answers?.length]).toEqual([false, MANY]);
  });

  test("listenForDns cuts who says nothing over TCP", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = { data: () => undefined, close: () => resolve("cut") };
    const taken = await Bun.connect({ ...dns.address, socket });
    // An answer tells that the connection before it was taken.
    await ask("one.d.svc.cluster.local", "A", exchangeOverTcp);
    clock.advance(2 * TCP_IDLE_MS);
    expect(await promise).toBe("cut");
    taken.terminate();
  });

  test("listenForDns asks other resolvers for other names, once for a while", async () => {
    expect(shown(await ask("www.example.com"))).toBe("0 192.0.2.1");
    expect(shown(await ask("WWW.example.com"))).toBe("0 192.0.2.1");
    expect(asked).toEqual(["www.example.com"]);
    expect(shown(await ask("out.d.svc.cluster.local"))).toBe("0 www.example.com 192.0.2.1");
    expect(shown(await ask("nobody.example.com"))).toBe("3");
    clock.advance(60_000);
    await ask("www.example.com");
    expect(asked.filter((name) => name === "www.example.com")).toHaveLength(2);
  });

  test("listenForDns says so when no other resolver answers, and asks one thing once", async () => {
    silent = true;
    const answers = [ask("slow.example.com"), ask("slow.example.com")];
    await eventually(() => asked.length === 1);
    clock.advance(UPSTREAM_TIMEOUT_MS);
    expect((await Promise.all(answers)).map(shown)).toEqual(["2", "2"]);
    upstreams = [];
    expect(shown(await ask("other.example.com"))).toBe("2");
  });

  test("listenForDns does not ask itself", async () => {
    upstreams = [{ address: dns.address.hostname, port: dns.address.port }];
    expect(shown(await ask("www.example.com"))).toBe("2");
  });

  test("listenForDns tells that it cannot read a question", async () => {
    const { hostname: address, port } = dns.address;
    const query = encode({ type: "query", id: 9, questions: [{ name: "a.example", type: "A" }] });
    const cut = query.subarray(0, query.length - 4);
    const answer = await exchangeOverUdp({ address, port }, cut, new AbortController().signal);
    expect([answer[0], answer[1], (answer[3] ?? 0) & 15]).toEqual([0, 9, 1]);
  });
});

describe("parseResolvers", () => {
  test("parseResolvers reads the addresses of a resolv.conf", () => {
    const text =
      "# a comment\nsearch example.com\nnameserver 192.0.2.53\nnameserver ::1\nnameserver x\n";
    expect(parseResolvers(text)).toEqual([
      { address: "192.0.2.53", port: 53 },
      { address: "::1", port: 53 },
    ]);
  });
});
