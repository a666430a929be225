import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../../../lib/testing/eventually.ts";
import { MAX_BACKLOG } from "../../host/listener.ts";
import type { InputStream } from "../io/input-stream.ts";
import type { OutputStream } from "../io/output-stream.ts";
import {
  block,
  bytesOf,
  imported,
  openHost,
  refusal,
  textOf,
  type HostFixture,
} from "../testing/host-fixture.ts";
import type { AddressFamily, Ipv4Address } from "./ip-address.ts";
import type { Network } from "./network.ts";
import { PortListeners } from "./port-listeners.ts";
import type { TcpSocket } from "./tcp-socket.ts";

const PORT = 9000;
const ANY = [0, 0, 0, 0] as const;
const directory = mkdtempSync(join(tmpdir(), "kubun-listen-"));
afterAll(() => rmSync(directory, { recursive: true }));
const unixPath = join(directory, "9000.sock");
const at = (port: number, address: Ipv4Address = ANY) =>
  ({ tag: "ipv4", val: { port, address } }) as const;

let listeners: PortListeners;
const clients: Socket[] = [];
beforeEach(() => {
  const port = { port: PORT, protocol: "TCP", unixPath, address: "127.0.0.1" } as const;
  listeners = new PortListeners([port]);
  listeners.at(PORT)?.listenUnix();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  listeners.close();
});

function client(): Socket {
  const socket = connect({ path: unixPath, allowHalfOpen: true });
  socket.on("error", () => undefined);
  clients.push(socket);
  return socket;
}

function sockets({ instance }: HostFixture) {
  const take = <Shape>(path: string, name: string) =>
    imported<Shape>(instance, `wasi:sockets/${path}`, name);
  return {
    network: take<() => Network>("instance-network", "instanceNetwork")(),
    tcp: take<(family: AddressFamily) => TcpSocket>("tcp-create-socket", "createTcpSocket"),
  };
}

function listening(fixture: HostFixture): TcpSocket {
  const { network, tcp } = sockets(fixture);
  const socket = tcp("ipv4");
  socket.startBind(network, at(PORT));
  socket.finishBind();
  socket.startListen();
  socket.finishListen();
  return socket;
}

async function accepted(socket: TcpSocket): Promise<[TcpSocket, InputStream, OutputStream]> {
  await block(socket.subscribe());
  return socket.accept();
}

describe("A tcp-socket that listens", () => {
  test("A tcp-socket that listens talks with who came before and after", async () => {
    using fixture = openHost({ listeners });
    const early = client();
    early.write("early");
    await eventually(() => listeners.at(PORT)?.pending === 1 || undefined);
    const socket = listening(fixture);
    expect([socket.isListening(), socket.localAddress()]).toEqual([true, at(PORT)]);
    const [first, input, output] = await accepted(socket);
    expect(textOf(await input.blockingRead(100n))).toBe("early");
    expect([listeners.meter.open.size, listeners.meter.owesAnswer]).toEqual([1, true]);
    const received = new Promise((resolve) => early.once("data", resolve));
    await output.blockingWriteAndFlush(bytesOf("answer"));
    expect(String(await received)).toBe("answer");
    expect(listeners.meter.owesAnswer).toBe(false);
    expect(first.remoteAddress()).toEqual(at(0, [127, 0, 0, 1]));
    expect(first.localAddress()).toEqual(at(PORT));
    first.setKeepAliveEnabled(true);
    first.shutdown("receive");
    expect(refusal(() => socket.accept())).toBe("would-block");
    const late = client();
    const [second, lateInput, lateOutput] = await accepted(socket);
    late.end("bye");
    expect(textOf(await lateInput.blockingRead(100n))).toBe("bye");
    for (const resource of [input, output, first, lateInput, lateOutput, second]) {
      resource[Symbol.dispose]();
    }
    await eventually(() => listeners.meter.open.size === 0 || undefined);
  });

  test("A tcp-socket that listens has the port alone, and gives it back", () => {
    using fixture = openHost({ listeners });
    const { network, tcp } = sockets(fixture);
    const socket = listening(fixture);
    const other = tcp("ipv4");
    expect(refusal(() => other.startBind(network, at(PORT)))).toBe("address-in-use");
    expect(refusal(() => socket.startListen())).toBe("invalid-state");
    expect(refusal(() => socket.startConnect(network, at(1)))).toBe("invalid-state");
    socket[Symbol.dispose]();
    other.startBind(network, at(PORT, [127, 0, 0, 1]));
    other.finishBind();
    expect(other.isListening()).toBe(false);
  });

  test("A tcp-socket that listens does so on the container's ports only, and says why", () => {
    using fixture = openHost({ listeners });
    const { network, tcp } = sockets(fixture);
    const socket = tcp("ipv4");
    expect(refusal(() => socket.startBind(network, at(PORT + 1)))).toBe("access-denied");
    expect(refusal(() => socket.startBind(network, at(PORT, [127, 0, 0, 2])))).toBe(
      "address-not-bindable",
    );
    expect(fixture.notes).toEqual([
      "wasi:sockets/tcp: listening on port 9001 is refused: " +
        "containerPorts of the container do not name it",
    ]);
    using handler = openHost();
    const inner = sockets(handler);
    expect(refusal(() => inner.tcp("ipv4").startBind(inner.network, at(PORT)))).toBe(
      "access-denied",
    );
    expect(handler.notes[0]).toContain("wasi:http handler");
  });

  test("A tcp-socket that listens lets so many wait, and no more", async () => {
    // One after the other: the kernel's own queue is shorter.
    for (let index = 1; index <= MAX_BACKLOG; index++) {
      const socket = client();
      await new Promise((resolve) => socket.once("connect", resolve));
    }
    await eventually(() => listeners.at(PORT)?.pending === MAX_BACKLOG || undefined);
    const refused = client().resume();
    await new Promise((resolve) => refused.once("end", resolve).once("close", resolve));
    expect(listeners.at(PORT)?.pending).toBe(MAX_BACKLOG);
  });
});
