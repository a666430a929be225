import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { join } from "node:path";
import { ManualClock } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { PeerGroup, RecordingLogger } from "./testing/peer-group.ts";
import type { KeyPair } from "./certificates.ts";
import { ANY_PEER, NODES_GROUP, PEER_SERVER_NAME, type NodeLink } from "./peer/node-link.ts";
import { LISTEN_AGAIN_MS } from "./peer/peer-listener.ts";
import { systemClock } from "./system-clock.ts";

const SECOND_MS = 1_000;
const DAY_SECONDS = 24 * 60 * 60;

describe("the link between processes", () => {
  let group: PeerGroup;

  beforeEach(async () => {
    group = await PeerGroup.create();
  });

  afterEach(async () => {
    await group.close();
  });

  /** A node's key pair that ends after so many seconds from a moment. */
  function shortLived(node: string, seconds: number, nowMs: number): Promise<KeyPair> {
    return group.keys({
      commonName: `system:node:${node}`,
      organizations: [NODES_GROUP],
      names: [PEER_SERVER_NAME],
      usages: ["server", "client"],
      days: seconds / DAY_SECONDS,
      nowMs,
    });
  }

  function get(path = "/"): Request {
    return new Request(`http://peer${path}`);
  }

  test("show: both ends go on with new certificates where the former ones ended", async () => {
    const nowMs = Math.floor(Date.now() / SECOND_MS) * SECOND_MS;
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + aheadMs };
    const server = group.open({ keyPair: await shortLived("s", 60, nowMs) }, { clock });
    const client = group.open({ keyPair: await shortLived("c", 60, nowMs) }, { clock });
    const answers: (() => void)[] = [];
    server.serveHttp((request) => {
      if (!request.url.endsWith("/wait")) return Promise.resolve(new Response("served"));
      return new Promise((resolve) => answers.push(() => resolve(new Response("waited"))));
    });
    const { port } = server;
    /** By a connection of its own, whatever is kept. */
    let dials = 0;
    const dial = (): Promise<string> => {
      const expect = { organizations: [NODES_GROUP, `dial ${dials++}`] };
      return client
        .fetchFrom(
          `127.0.0.1:${port}`,
          expect,
        )(get())
        .then((it) => it.text(), String);
    };
    const waiting = client.fetchFrom(`127.0.0.1:${port}`, ANY_PEER)(get("/wait"));
    await eventually(() => answers.length === 1);
    expect(await dial()).toBe("served");

    aheadMs = 61 * SECOND_MS;
    expect(await dial()).toContain("expired");
    server.show(await shortLived("s", 120, nowMs));
    expect(server.port).toBe(port);
    expect(await dial()).toContain("PeerError");
    client.show(await shortLived("c", 120, nowMs));
    expect(await dial()).toBe("served");
    // What was open is not touched.
    answers[0]?.();
    expect(await (await waiting).text()).toBe("waited");
  });

  test("show: a port that did not come back is asked for again", async () => {
    const clock = new ManualClock(Date.now());
    const logger = new RecordingLogger();
    const keyPair = await group.keysOfNode("s");
    const server = group.open({ keyPair }, { clock, logger });
    server.serveHttp(() => Promise.resolve(new Response("served")));
    const client = group.open({ keyPair: await group.keysOfNode("c") });
    const fetchPeer = client.fetchFrom(`127.0.0.1:${server.port}`, ANY_PEER);
    const broken = { certificate: "not a certificate", privateKey: keyPair.privateKey };
    server.show(broken);
    expect(logger.warnings.join()).toContain("the peer port cannot be had back");
    clock.advance(LISTEN_AGAIN_MS);
    expect(await fetchPeer(get()).catch(String)).toContain("PeerError");
    server.show(keyPair);
    clock.advance(LISTEN_AGAIN_MS);
    expect(await (await fetchPeer(get())).text()).toBe("served");
    server.show(broken);
    await server.close();
    expect(clock.pending).toBe(0);
  });

  test("admitOnly: a peer that is not known gets neither requests nor tunnels", async () => {
    const logger = new RecordingLogger();
    const server = group.open({ keyPair: await group.keysOfMember(1) }, { logger });
    server.serveHttp(() => Promise.resolve(new Response("served")));
    const client = group.open({ keyPair: await group.keysOfNode("gone") });
    const known = new Set<string>();
    server.admitOnly(({ commonName }) => known.has(commonName));
    const fetchPeer = client.fetchFrom(`127.0.0.1:${server.port}`, ANY_PEER);
    const ask = (): Promise<string> => fetchPeer(get()).then((it) => it.text(), String);
    for (let time = 0; time < 3; time++) {
      expect(await ask()).toContain("system:node:gone is not known here");
    }
    // Once a minute is enough of a node that asks again and again.
    expect(logger.warnings).toHaveLength(1);
    expect(await tunnelOutcome(client, server)).toContain("system:node:gone is not known here");
    known.add("system:node:gone");
    expect(await ask()).toBe("served");
  });

  test("admitOnly: what is open of a peer ends when it is known no more", async () => {
    const server = group.open({ keyPair: await group.keysOfMember(1) });
    const unix = join(group.directory, "pod.sock");
    const pod = Bun.listen({ unix, socket: { data: () => undefined } });
    server.serveTunnel(() => unix);
    const aborted: string[] = [];
    server.serveHttp((request, { commonName }) => {
      request.signal.addEventListener("abort", () => aborted.push(commonName));
      return new Promise(() => undefined);
    });
    const known = new Set(["system:node:a", "system:node:b"]);
    const look = server.admitOnly(({ commonName }) => known.has(commonName));
    const outcomes = new Map<string, string>();
    const tunnels = new Map<string, Tunnel>();
    for (const name of ["a", "b"]) {
      const link = group.open({ keyPair: await group.keysOfNode(name) });
      link
        .fetchFrom(
          `127.0.0.1:${server.port}`,
          ANY_PEER,
        )(get())
        .catch((error: unknown) => outcomes.set(name, String(error)));
      tunnels.set(name, openTunnel(link, server));
    }
    await eventually(() => [...tunnels.values()].every(({ socket }) => socket !== undefined));
    look();
    known.delete("system:node:a");
    look();
    await eventually(() => outcomes.has("a") && tunnels.get("a")?.closed === true);
    await eventually(() => aborted.length > 0);
    expect(aborted).toEqual(["system:node:a"]);
    expect([outcomes.has("b"), tunnels.get("b")?.closed]).toEqual([false, false]);
    pod.stop(true);
  });

  test("admitOnly: messages between members are the group's own to judge", async () => {
    const [one, two] = await group.members(2);
    await eventually(() => one?.handlers.events.includes("up 2"));
    one?.transport.admitOnly(() => false);
    const fetchOne = two?.transport.fetchFrom(one?.address ?? "", ANY_PEER);
    const answer = await fetchOne?.(get()).then(() => "answered", String);
    expect(answer).toContain("is not known here");
    expect(one?.handlers.events).toEqual(["up 2"]);
    expect(two?.handlers.events).toEqual(["up 1"]);
  });
});

interface Tunnel {
  socket: Socket<Tunnel> | undefined;
  closed: boolean;
  failure: string;
}

function openTunnel(from: NodeLink, to: NodeLink): Tunnel {
  const tunnel: Tunnel = { socket: undefined, closed: false, failure: "" };
  from.dialTunnel(
    `127.0.0.1:${to.port}`,
    { ip: "10.42.0.7", port: 80 },
    tunnel,
    {
      open: (socket) => void (tunnel.socket = socket),
      data: () => undefined,
      close: () => void (tunnel.closed = true),
      error: (socket) => socket.terminate(),
      connectError: (_socket, error) => void (tunnel.failure = error.message),
    },
    ANY_PEER,
  );
  return tunnel;
}

async function tunnelOutcome(from: NodeLink, to: NodeLink): Promise<string> {
  const tunnel = openTunnel(from, to);
  await eventually(() => tunnel.socket !== undefined || tunnel.failure !== "");
  return tunnel.failure;
}
