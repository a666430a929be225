import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Socket, SocketHandler } from "bun";
import { join } from "node:path";
import { ManualClock } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { PeerGroup } from "../testing/peer-group.ts";
import {
  ANY_PEER,
  NODES_GROUP,
  SERVERS_GROUP,
  type NodeLink,
  type PeerExpectation,
} from "./node-link.ts";
import { DIAL_DEADLINE_MS } from "./peer-dialer.ts";

const TARGET = { ip: "10.42.0.7", port: 80 };

/** The dialling side of a tunnel, as the proxy has it. */
class TunnelClient {
  opened = false;
  text = "";
  receivedBytes = 0;
  ended = false;
  closed = false;
  failure: Error | undefined;
  socket: Socket<TunnelClient> | undefined;
  onDrain: () => void = () => undefined;
}

const HANDLER: SocketHandler<TunnelClient> = {
  open(socket) {
    socket.data.opened = true;
    socket.data.socket = socket;
  },
  data(socket, chunk) {
    socket.data.receivedBytes += chunk.length;
    if (socket.data.text.length < 1_000) socket.data.text += chunk.toString();
  },
  drain: (socket) => socket.data.onDrain(),
  end(socket) {
    socket.data.ended = true;
  },
  close(socket) {
    socket.data.closed = true;
  },
  error: (socket) => socket.terminate(),
  connectError(socket, error) {
    socket.data.failure = error;
  },
};

describe("tunnels", () => {
  let group: PeerGroup;
  let node: NodeLink;
  let dialler: NodeLink;
  let unix: string;
  let pods: { stop(closeActive?: boolean): void }[];

  beforeEach(async () => {
    group = await PeerGroup.create();
    node = group.open({ keyPair: await group.keysOfNode("a") });
    dialler = group.open({ keyPair: await group.keysOfMember(1) });
    unix = join(group.directory, "pod.sock");
    pods = [];
    node.serveTunnel((target) =>
      target.ip === TARGET.ip && target.port === TARGET.port ? unix : undefined,
    );
  });

  afterEach(async () => {
    for (const pod of pods) pod.stop(true);
    await group.close();
  });

  function pod(handler: SocketHandler): void {
    pods.push(
      Bun.listen<unknown>({
        unix,
        allowHalfOpen: true,
        socket: { data: () => undefined, error: (socket) => socket.terminate(), ...handler },
      }),
    );
  }

  function dial(
    options: { target?: typeof TARGET; expect?: PeerExpectation; from?: NodeLink } = {},
  ): TunnelClient {
    const client = new TunnelClient();
    const { target = TARGET, from = dialler } = options;
    from.dialTunnel(`127.0.0.1:${node.port}`, target, client, HANDLER, options.expect ?? ANY_PEER);
    return client;
  }

  async function dialled(): Promise<TunnelClient> {
    const client = dial();
    await eventually(() => client.opened);
    return client;
  }

  test("dialTunnel gives a socket that speaks with the pod", async () => {
    pod({
      open: (socket) => void socket.write("welcome "),
      data: (socket, chunk) => void socket.write(chunk),
    });
    const client = await dialled();
    client.socket?.write("hello");
    await eventually(() => client.text === "welcome hello");
  });

  test("dialTunnel lets either side end first, and the other speak on", async () => {
    pod({
      end(socket) {
        socket.write("last words");
        socket.end();
      },
    });
    const client = await dialled();
    client.socket?.shutdown();
    await eventually(() => client.text === "last words");
    await eventually(() => client.ended || client.closed);
    pods[0]?.stop(true);
    let heard = "";
    pod({
      open: (socket) => socket.shutdown(),
      data(_socket, chunk) {
        heard += chunk.toString();
      },
    });
    const second = await dialled();
    await eventually(() => second.ended);
    second.socket?.write("still here");
    await eventually(() => heard === "still here");
    second.socket?.end();
    await eventually(() => second.closed);
  });

  test("dialTunnel carries much at once, and holds a fast side back for a slow one", async () => {
    const bytes = 64 * 1024 * 1024;
    const pieces = Buffer.alloc(256 * 1024);
    let sent = 0;
    const pour = (socket: Socket<unknown>): void => {
      while (sent < bytes) {
        const written = socket.write(pieces.subarray(0, Math.min(pieces.length, bytes - sent)));
        if (written <= 0) return;
        sent += written;
      }
      socket.end();
    };
    pod({ open: pour, drain: pour });
    const client = await dialled();
    client.socket?.pause();
    let last = -1;
    await eventually(() => {
      const still = sent === last;
      last = sent;
      return still;
    });
    // Three sockets' buffers of the system, and one read of ours.
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    client.socket?.resume();
    await eventually(() => client.receivedBytes === bytes && client.ended);
  });

  test("dialTunnel passes much the other way", async () => {
    const bytes = 64 * 1024 * 1024;
    let received = 0;
    pod({
      data(_socket, chunk) {
        received += chunk.length;
      },
      end(socket) {
        socket.end(`all ${received}`);
      },
    });
    const client = await dialled();
    let left = bytes;
    const pieces = Buffer.alloc(256 * 1024);
    const pour = (): void => {
      while (left > 0) {
        const written =
          client.socket?.write(pieces.subarray(0, Math.min(pieces.length, left))) ?? 0;
        if (written <= 0) return;
        left -= written;
      }
      client.socket?.shutdown();
    };
    client.onDrain = pour;
    pour();
    await eventually(() => client.text === `all ${bytes}`);
  });

  test("dialTunnel tells by connectError what is not there, with the data in place", async () => {
    const nobody = dial();
    await eventually(() => nobody.failure?.message.includes("does not listen"));
    const unknown = dial({ target: { ip: "10.42.0.9", port: 80 } });
    await eventually(() => unknown.failure?.message.includes("no pod here serves 10.42.0.9:80"));
    const another = dial({
      expect: { commonName: "system:node:b", organizations: [NODES_GROUP] },
    });
    await eventually(() => another.failure?.message.includes("is system:node:a, not"));
    const server = dial({ expect: { organizations: [SERVERS_GROUP] } });
    await eventually(() => server.failure?.message.includes("is not of kubun:servers"));
    expect([nobody.opened, unknown.opened, another.opened, server.opened]).not.toContain(true);
    await node.close();
    const gone = dial();
    await eventually(() => gone.failure !== undefined);
  });

  test("dialTunnel gives up a node that does not answer", async () => {
    const clock = new ManualClock();
    const from = group.open({ keyPair: await group.keysOfNode("b") }, { clock });
    const mute = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const client = new TunnelClient();
    from.dialTunnel(`127.0.0.1:${mute.port}`, TARGET, client, HANDLER, ANY_PEER);
    clock.advance(DIAL_DEADLINE_MS);
    await eventually(() => client.failure?.message.includes("no answer within"));
    mute.stop(true);
  });

  test("dialTunnel's socket ends with the pod's connection, and the other way", async () => {
    let podSide: Socket<unknown> | undefined;
    let podClosed = false;
    pod({
      open(socket) {
        podSide = socket;
      },
      close() {
        podClosed = true;
      },
    });
    const first = await dialled();
    await eventually(() => podSide !== undefined);
    podSide?.terminate();
    await eventually(() => first.ended || first.closed);
    // As with any TCP endpoint, that both directions ended is known once something is said.
    await eventually(() => {
      first.socket?.write("anybody there?");
      return first.closed;
    });
    podClosed = false;
    const second = await dialled();
    second.socket?.terminate();
    await eventually(() => podClosed);
    podClosed = false;
    const third = await dialled();
    await node.close();
    await eventually(() => third.closed && podClosed);
  });
});
