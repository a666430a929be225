import { describe, expect, test } from "bun:test";
import { eventually } from "../../../../lib/testing/eventually.ts";
import { NO_GRANTS, type AllowedHost } from "../../component/pod-grants.ts";
import { GuestTrap } from "../io/guest-error.ts";
import { serveEgress } from "../testing/egress-server.ts";
import {
  block,
  bytesOf,
  imported,
  openHost,
  refusal,
  textOf,
  type HostFixture,
} from "../testing/host-fixture.ts";
import { formatIp, isUnicast, parseIp, type AddressFamily } from "./ip-address.ts";
import type { ResolveAddressStream } from "./name-lookup.ts";
import { MAX_SOCKETS, type Network } from "./network.ts";
import type { TcpSocket } from "./tcp-socket.ts";
import type { UdpSocket } from "./udp-socket.ts";

const loopback = [127, 0, 0, 1] as const;
const at = (port: number, address: readonly [number, number, number, number] = loopback) =>
  ({ tag: "ipv4", val: { port, address } }) as const;

function grant(...allowedHosts: AllowedHost[]) {
  return { ...NO_GRANTS, allowedHosts };
}

function sockets({ instance }: HostFixture) {
  const take = <Shape>(path: string, name: string) =>
    imported<Shape>(instance, `wasi:sockets/${path}`, name);
  return {
    network: take<() => Network>("instance-network", "instanceNetwork")(),
    tcp: take<(family: AddressFamily) => TcpSocket>("tcp-create-socket", "createTcpSocket"),
    udp: take<(family: AddressFamily) => UdpSocket>("udp-create-socket", "createUdpSocket"),
    resolve: take<(network: Network, name: string) => ResolveAddressStream>(
      "ip-name-lookup",
      "resolveAddresses",
    ),
  };
}

function echoServer() {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      data: (socket, chunk) => void socket.write(chunk),
      end: (socket) => void socket.end(),
    },
  });
  return { port: server.port, [Symbol.dispose]: () => server.stop(true) };
}

describe("tcp-socket", () => {
  test("tcp-socket talks with a granted host, both ways, to the end", async () => {
    using server = echoServer();
    const { port } = server;
    using fixture = openHost({ grants: grant({ scheme: "tcp", host: "127.0.0.1", port }) });
    const { network, tcp } = sockets(fixture);
    const socket = tcp("ipv4");
    socket.setKeepAliveEnabled(true);
    expect(refusal(() => socket.remoteAddress())).toBe("invalid-state");
    socket.startConnect(network, at(port));
    expect(refusal(() => socket.finishConnect())).toBe("would-block");
    await block(socket.subscribe());
    const [input, output] = socket.finishConnect();
    expect(socket.remoteAddress()).toEqual(at(port));
    expect(socket.localAddress()).toMatchObject({ tag: "ipv4", val: { address: [127, 0, 0, 1] } });
    await output.blockingWriteAndFlush(bytesOf("hello"));
    expect(textOf(await input.blockingRead(100n))).toBe("hello");
    socket.shutdown("send");
    expect(refusal(() => output.write(bytesOf("x")))).toEqual({ tag: "closed" });
    const end = await Promise.resolve(input.blockingRead(1n)).catch((error: unknown) => error);
    expect(end).toMatchObject({ payload: { tag: "closed" } });
    expect(() => socket[Symbol.dispose]()).toThrow(GuestTrap);
    input[Symbol.dispose]();
    output[Symbol.dispose]();
    socket[Symbol.dispose]();
  });

  test("tcp-socket carries more than it holds", async () => {
    using server = echoServer();
    using fixture = openHost({ grants: grant({ scheme: "*", host: "*", port: "*" }) });
    const { network, tcp } = sockets(fixture);
    const socket = tcp("ipv4");
    socket.startConnect(network, at(server.port));
    await block(socket.subscribe());
    const [input, output] = socket.finishConnect();
    const total = 1024 * 1024;
    const write = async () => {
      for (let sent = 0; sent < total; sent += 4096) {
        await output.blockingWriteAndFlush(new Uint8Array(4096));
      }
    };
    const read = async () => {
      let received = 0;
      while (received < total) received += (await input.blockingRead(65_536n)).length;
      return received;
    };
    // The echo of a server that does not queue: it reads only as fast as it is read from.
    const [, received] = await Promise.all([write(), read()]);
    expect(received).toBe(total);
  });

  test("tcp-socket refuses what is not granted or no address to dial", async () => {
    using fixture = openHost({ grants: grant({ scheme: "tcp", host: "db", port: 5432 }) });
    const { network, tcp } = sockets(fixture);
    const socket = tcp("ipv4");
    expect(refusal(() => socket.startConnect(network, at(5432)))).toBe("access-denied");
    expect(fixture.notes[0]).toContain("wasi:sockets/tcp");
    expect(fixture.notes[0]).toContain('"tcp://127.0.0.1:5432"');
    for (const remote of [at(0), at(1, [0, 0, 0, 0]), at(1, [224, 0, 0, 1])]) {
      expect(refusal(() => socket.startConnect(network, remote))).toBe("invalid-argument");
    }
    expect(refusal(() => tcp("ipv6").startConnect(network, at(1)))).toBe("invalid-argument");
    expect(refusal(() => socket.startBind(network, at(80)))).toBe("access-denied");
    socket.startBind(network, at(0, [0, 0, 0, 0]));
    socket.finishBind();
    expect(refusal(() => socket.startListen())).toBe("access-denied");
    expect(refusal(() => socket.setHopLimit(0))).toBe("invalid-argument");
    expect(refusal(() => socket.finishConnect())).toBe("not-in-progress");
  });

  test("tcp-socket tells why it could not connect", async () => {
    const closed = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => undefined },
    });
    const { port } = closed;
    closed.stop(true);
    using fixture = openHost({ grants: grant({ scheme: "*", host: "*", port: "*" }) });
    const { network, tcp } = sockets(fixture);
    const socket = tcp("ipv4");
    socket.startConnect(network, at(port));
    await block(socket.subscribe());
    expect(refusal(() => socket.finishConnect())).toBe("connection-refused");
  });

  test("tcp-socket: an instance may have so many", () => {
    using fixture = openHost();
    const { tcp } = sockets(fixture);
    const made = Array.from({ length: MAX_SOCKETS }, () => tcp("ipv4"));
    expect(refusal(() => tcp("ipv4"))).toBe("new-socket-limit");
    made[0]?.[Symbol.dispose]();
    tcp("ipv4");
  });
});

describe("udp-socket", () => {
  test("udp-socket exchanges datagrams with granted hosts only", async () => {
    const heard: string[] = [];
    const peer = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (socket, data, port, address) => {
          heard.push(data.toString());
          socket.send(`re ${data.toString()}`, port, address);
        },
      },
    });
    const stranger = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const { port } = peer;
    using fixture = openHost({ grants: grant({ scheme: "udp", host: "127.0.0.1", port }) });
    const { network, udp } = sockets(fixture);
    const socket = udp("ipv4");
    expect(refusal(() => socket.stream(undefined))).toBe("invalid-state");
    socket.startBind(network, at(0, [0, 0, 0, 0]));
    await block(socket.subscribe());
    socket.finishBind();
    const [incoming, outgoing] = socket.stream(undefined);
    expect(() => socket.stream(undefined)).toThrow(GuestTrap);
    expect(outgoing.checkSend()).toBeGreaterThan(0n);
    expect(incoming.receive(1n)).toEqual([]);
    const local = socket.localAddress();
    stranger.send("spam", local.val.port, "127.0.0.1");
    expect(outgoing.send([{ data: bytesOf("a"), remoteAddress: at(port) }])).toBe(1n);
    await block(incoming.subscribe());
    const [first, ...others] = incoming.receive(10n);
    expect(others).toEqual([]);
    expect(textOf(first?.data ?? new Uint8Array())).toBe("re a");
    expect(first?.remoteAddress).toEqual(at(port));
    const elsewhere = { data: bytesOf("a"), remoteAddress: at(stranger.port) };
    expect(refusal(() => outgoing.send([elsewhere]))).toBe("access-denied");
    const large = { data: new Uint8Array(70_000), remoteAddress: at(port) };
    expect(refusal(() => outgoing.send([large]))).toBe("datagram-too-large");
    expect(refusal(() => outgoing.send([{ data: bytesOf("a") }]))).toBe("invalid-argument");
    expect(heard).toEqual(["a"]);
    expect(() => socket[Symbol.dispose]()).toThrow(GuestTrap);
    peer.close();
    stranger.close();
  });
});

describe("ip-name-lookup", () => {
  test("ip-name-lookup asks the egress, and what it answers may be dialled", async () => {
    using server = echoServer();
    const { port } = server;
    using egress = serveEgress((text, peer) => {
      const found = text.includes("x-kubun-resolve: db\r\n");
      const body = found ? '{"addresses":["127.0.0.1","::1"]}' : '{"addresses":[]}';
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      return "done";
    });
    using fixture = openHost({
      egressPath: egress.path,
      grants: grant(
        { scheme: "tcp", host: "db", port },
        { scheme: "tcp", host: "none", port },
        { scheme: "http", host: "web", port: 80 },
      ),
    });
    const { network, tcp, resolve } = sockets(fixture);
    const socket = tcp("ipv4");
    expect(refusal(() => socket.startConnect(network, at(port)))).toBe("access-denied");
    const stream = resolve(network, "db");
    expect(refusal(() => stream.resolveNextAddress())).toBe("would-block");
    await block(stream.subscribe());
    expect(stream.resolveNextAddress()).toEqual({ tag: "ipv4", val: loopback });
    expect(stream.resolveNextAddress()).toEqual({ tag: "ipv6", val: [0, 0, 0, 0, 0, 0, 0, 1] });
    expect(stream.resolveNextAddress()).toBeUndefined();
    socket.startConnect(network, at(port));
    await block(socket.subscribe());
    socket.finishConnect();
    const none = resolve(network, "none");
    await eventually(() => refusal(() => none.resolveNextAddress()) !== "would-block");
    expect(refusal(() => none.resolveNextAddress())).toBe("name-unresolvable");
    expect(refusal(() => resolve(network, "web"))).toBe("access-denied");
    expect(refusal(() => resolve(network, "not a name"))).toBe("invalid-argument");
    const literal = resolve(network, "10.1.2.3");
    await block(literal.subscribe());
    expect(literal.resolveNextAddress()).toEqual({ tag: "ipv4", val: [10, 1, 2, 3] });
  });
});

describe("parseIp", () => {
  test("parseIp reads what formatIp writes", () => {
    for (const text of ["127.0.0.1", "::", "::1", "fd00::1:2", "1:2:3:4:5:6:7:8", "fe80::"]) {
      const ip = parseIp(text);
      expect(ip === undefined ? undefined : formatIp(ip)).toBe(text);
    }
    expect(
      ["", "1.2.3", "1.2.3.256", "01.2.3.4", "g::", "1::2::3", "fe80::1%lo", "db"].filter(parseIp),
    ).toEqual([]);
  });

  test("isUnicast refuses groups, nobody, and IPv4 in disguise", () => {
    const is = (text: string) => {
      const ip = parseIp(text);
      return ip !== undefined && isUnicast(ip);
    };
    expect(["10.0.0.1", "::1", "fd00::1"].every(is)).toBe(true);
    expect(
      ["0.0.0.0", "::", "239.1.1.1", "255.255.255.255", "ff02::1", "::ffff:10.0.0.1"].some(is),
    ).toBe(false);
  });
});
