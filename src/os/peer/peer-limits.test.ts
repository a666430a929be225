import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { join } from "node:path";
import type { Fetch } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import type { MemberId } from "../../store/index.ts";
import { CLUSTER, PeerGroup } from "../testing/peer-group.ts";
import { RawPeer } from "../testing/raw-peer.ts";
import { ANY_PEER, type NodeLink } from "./node-link.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { PROTOCOL_VERSION } from "./preface.ts";

const TARGET = { ip: "10.42.0.7", port: 80 };
const COMMON = { version: PROTOCOL_VERSION, cluster: CLUSTER };

/** What became of a tunnel that was dialled. */
interface Tunnel {
  socket?: Socket<Tunnel>;
  failure?: string;
}

describe("limits of the link", () => {
  let group: PeerGroup;
  let raws: RawPeer[];
  let pods: { stop(closeActive?: boolean): void }[];

  beforeEach(async () => {
    group = await PeerGroup.create();
    raws = [];
    pods = [];
  });

  afterEach(async () => {
    for (const raw of raws) raw.close();
    for (const pod of pods) pod.stop(true);
    await group.close();
  });

  async function links(
    limits: PeerLimits,
  ): Promise<{ server: NodeLink; client: NodeLink; fetchPeer: Fetch }> {
    const server = group.open({ keyPair: await group.keysOfNode("server") }, { limits });
    const client = group.open({ keyPair: await group.keysOfNode("client") }, { limits });
    return { server, client, fetchPeer: client.fetchFrom(`127.0.0.1:${server.port}`, ANY_PEER) };
  }

  /** A peer that stays behind its greeting. */
  async function raw(port: number, preface: object, member?: number): Promise<RawPeer> {
    const keys = member === undefined ? group.keysOfNode("raw") : group.keysOfMember(member);
    const { certificate: cert, privateKey: key } = await keys;
    const peer = new RawPeer(port, { cert, key, ca: group.ca.certificate });
    raws.push(peer);
    await peer.say(`${JSON.stringify({ ...COMMON, ...preface })}\n`);
    await eventually(() => peer.text !== "" || peer.closed);
    return peer;
  }

  function get(path = "/"): Request {
    return new Request(`http://peer${path}`);
  }

  /** A handler that answers when told to. */
  function answeringLater(link: NodeLink): (() => void)[] {
    const answers: (() => void)[] = [];
    link.serveHttp((request) => {
      if (request.url.endsWith("/now")) return Promise.resolve(new Response("now"));
      return new Promise((resolve) => answers.push(() => resolve(new Response("later"))));
    });
    return answers;
  }

  test("HttpClient refuses exchanges over a peer's limit, and goes on when one ended", async () => {
    const { server, fetchPeer } = await links({ exchangesPerPeer: 2 });
    const answers = answeringLater(server);
    const pending = [fetchPeer(get()), fetchPeer(get())];
    await eventually(() => answers.length === 2);
    const refused = await fetchPeer(get()).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "overloaded", delivered: false });
    expect(String(refused)).toContain("2 requests to 127.0.0.1:");
    answers[0]?.();
    const first = await Promise.race(pending);
    // Until its body was read, an exchange is not over.
    expect(await first.text()).toBe("later");
    expect(await (await fetchPeer(get("/now"))).text()).toBe("now");
    answers[1]?.();
    for (const each of await Promise.all(pending)) if (!each.bodyUsed) await each.text();
    const more = await Promise.all([fetchPeer(get("/now")), fetchPeer(get("/now"))]);
    expect(await Promise.all(more.map((each) => each.text()))).toEqual(["now", "now"]);
  });

  test("HttpClient counts an exchange no more that failed or was given up", async () => {
    const { server, fetchPeer } = await links({ exchangesPerPeer: 1 });
    const answers = answeringLater(server);
    const giving = new AbortController();
    const given = fetchPeer(new Request("http://peer/", { signal: giving.signal }));
    await eventually(() => answers.length === 1);
    giving.abort(new Error("not interested"));
    expect(String(await given.catch((error: unknown) => error))).toContain("not interested");
    expect(await (await fetchPeer(get("/now"))).text()).toBe("now");
    await server.close();
    const failed = await fetchPeer(get("/now")).catch((error: unknown) => error);
    expect(failed).toMatchObject({ name: "PeerError" });
    const again = await fetchPeer(get("/now")).catch((error: unknown) => error);
    expect(again).toMatchObject({ code: "unreachable" });
  });

  test("HttpServer refuses connections over its limit until one left", async () => {
    const { server } = await links({ httpConnections: 2 });
    server.serveHttp(() => Promise.resolve(new Response("served")));
    const preface = { protocol: "http" };
    const [first] = [await raw(server.port, preface), await raw(server.port, preface)];
    const third = await raw(server.port, preface);
    expect(third.text).toBe('{"ok":false,"reason":"2 connections are open","temporary":true}\n');
    await eventually(() => third.closed);
    first?.close();
    await eventually(async () => (await raw(server.port, preface)).text === '{"ok":true}\n');
  });

  test("fetchFrom tells what a full server says, and that nothing was delivered", async () => {
    const { server, fetchPeer } = await links({ httpConnections: 1 });
    server.serveHttp(() => Promise.resolve(new Response("served")));
    const only = await raw(server.port, { protocol: "http" });
    const refused = await fetchPeer(get()).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "unreachable", delivered: false });
    expect(String(refused)).toContain("1 connections are open");
    only.close();
    await eventually(async () => (await fetchPeer(get())).text());
  });

  test("TunnelServer refuses tunnels over its limit until one ended", async () => {
    const { server, client } = await links({ tunnels: 2 });
    const unix = join(group.directory, "pod.sock");
    let open = 0;
    pods.push(
      Bun.listen({
        unix,
        socket: {
          open: () => void open++,
          data: () => undefined,
          close: () => void open--,
        },
      }),
    );
    server.serveTunnel(() => unix);
    const dial = async (): Promise<Tunnel> => {
      const tunnel: Tunnel = {};
      client.dialTunnel(
        `127.0.0.1:${server.port}`,
        TARGET,
        tunnel,
        {
          open: (socket) => void (tunnel.socket = socket),
          data: () => undefined,
          error: (socket) => socket.terminate(),
          connectError: (_socket, error) => void (tunnel.failure = error.message),
        },
        ANY_PEER,
      );
      await eventually(() => tunnel.socket !== undefined || tunnel.failure !== undefined);
      return tunnel;
    };
    const [first] = [await dial(), await dial()];
    expect((await dial()).failure).toContain("2 tunnels are open");
    // What was refused has not reached the pod.
    expect(open).toBe(2);
    first?.socket?.terminate();
    await eventually(async () => (await dial()).socket !== undefined);
    expect(open).toBe(2);
  });

  test("PeerDialer fails dials over its limit, and dials again when one is through", async () => {
    const { server, client } = await links({ dials: 2 });
    server.serveHttp(() => Promise.resolve(new Response("served")));
    const to = `127.0.0.1:${server.port}`;
    // Requests of different expectations share no connection: each dials.
    const fetches = ["server", "other", "third"].map((nodeName) =>
      client.fetchFrom(to, { ...ANY_PEER, nodeName }),
    );
    const results = await Promise.all(
      fetches.map((fetchPeer) => fetchPeer(get()).then(String, String)),
    );
    expect(results[2]).toContain("2 dials are under way");
    expect(results[1]).toContain("not node other");
    expect((await fetches[0]?.(get()))?.status).toBe(200);
    expect(await fetches[2]?.(get()).catch(String)).toContain("not node third");
  });

  test("MessageHub takes so many unknown members, and others when they left", async () => {
    const member = await group.member(1, { limits: { strangers: 2 } });
    const preface = (from: number) => ({ protocol: "messages", from, to: 1 });
    const [first] = [
      await raw(member.transport.port, preface(11), 11),
      await raw(member.transport.port, preface(12), 12),
    ];
    const third = await raw(member.transport.port, preface(13), 13);
    expect(third.text).toContain("too many unknown members");
    first?.close();
    const fourth = await eventually(async () => {
      const peer = await raw(member.transport.port, preface(14), 14);
      return peer.text === '{"ok":true}\n' ? peer : undefined;
    });
    // Those that are known have their place whatever strangers do.
    const known = [11, 12].map((id) => [id as MemberId, "127.0.0.1:1"] as const);
    member.transport.setPeers(new Map(known));
    await eventually(() => fourth.closed);
    for (const id of [13, 14, 11]) {
      expect((await raw(member.transport.port, preface(id), id)).text).toBe('{"ok":true}\n');
    }
    expect((await raw(member.transport.port, preface(15), 15)).text).toContain("too many");
  });

  test("PeerListener cuts whoever comes when all of its connections are taken", async () => {
    const { server } = await links({ accepted: 1 });
    server.serveHttp(() => Promise.resolve(new Response("served")));
    const only = await raw(server.port, { protocol: "http" });
    const second = await raw(server.port, { protocol: "http" });
    expect([second.closed, second.text]).toEqual([true, ""]);
    only.close();
    await eventually(
      async () => (await raw(server.port, { protocol: "http" })).text === '{"ok":true}\n',
    );
  });
});
