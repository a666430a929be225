import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ManualClock, silentLogger } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { RawPeer } from "../testing/raw-peer.ts";
import { CLUSTER, introduce, PeerGroup, type TestMember } from "../testing/peer-group.ts";
import type { KeyPair } from "../certificates.ts";
import { createCertificateAuthority } from "../certificates.ts";
import { hostOfNode, NODES_GROUP, PEER_SERVER_NAME, SERVERS_GROUP } from "./node-link.ts";
import { CalmWarnings } from "./calm-warnings.ts";
import { GREETING_DEADLINE_MS, MAX_GREETINGS, PeerListener } from "./peer-listener.ts";
import { MAX_PREFACE_BYTES, PROTOCOL_VERSION } from "./preface.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const HTTP = { protocol: "http", version: PROTOCOL_VERSION, cluster: CLUSTER };

describe("peer listener", () => {
  let group: PeerGroup;
  let member: TestMember;
  let served: string[];
  let peers: RawPeer[];

  beforeEach(async () => {
    group = await PeerGroup.create();
    member = await group.member(1);
    peers = [];
    served = [];
    serve(member);
  });

  afterEach(async () => {
    for (const peer of peers) peer.close();
    await group.close();
  });

  function serve(on: TestMember): void {
    on.transport.serveHttp((_request, peer) => {
      served.push(peer.commonName);
      return Promise.resolve(new Response("served"));
    });
  }

  function raw(pair?: KeyPair, options: { plain?: boolean; to?: TestMember } = {}): RawPeer {
    const ca = group.ca.certificate;
    const tls = pair === undefined ? { ca } : { cert: pair.certificate, key: pair.privateKey, ca };
    const peer = new RawPeer(
      (options.to ?? member).transport.port,
      options.plain === true ? undefined : tls,
    );
    peers.push(peer);
    return peer;
  }

  async function speak(peer: RawPeer, preface: object): Promise<void> {
    await peer.say(`${JSON.stringify(preface)}\n`);
  }

  test("PeerListener serves a node of the cluster, and knows its name", async () => {
    const peer = raw(await group.keysOfNode("a"));
    await speak(peer, HTTP);
    await eventually(() => peer.text === '{"ok":true}\n');
    expect(peer.closed).toBe(false);
  });

  test("PeerListener gives one peer its share of connections, and others theirs", async () => {
    const { privateKey: key, certificate: cert } = await group.keysOfMember(1);
    const listener = new PeerListener({
      hostname: "127.0.0.1",
      port: 0,
      tls: { key, cert, ca: group.ca.certificate },
      clusterId: CLUSTER,
      clock: new ManualClock(),
      warnings: new CalmWarnings(silentLogger, new ManualClock()),
      accept: (_preface, _peer, connection) => {
        connection.write(Buffer.from("taken\n"));
        return undefined;
      },
      limits: { acceptedAPeer: 2 },
    });
    const tls = async (node: string) => {
      const pair = await group.keysOfNode(node);
      return { cert: pair.certificate, key: pair.privateKey, ca: group.ca.certificate };
    };
    const dial = async (node: string): Promise<RawPeer> => {
      const peer = new RawPeer(listener.port, await tls(node));
      peers.push(peer);
      await speak(peer, HTTP);
      await eventually(() => peer.text !== "");
      return peer;
    };
    const [first] = [await dial("a"), await dial("a")];
    expect((await dial("a")).text).toContain("system:node:a has 2 connections open");
    expect((await dial("b")).text).toBe("taken\n");
    first?.close();
    await eventually(async () => (await dial("a")).text === "taken\n");
    listener.close();
  });

  test("PeerListener cuts who has no certificate, or one of another authority", async () => {
    const stranger = await PeerGroup.create();
    const pairs = [undefined, await stranger.keysOfMember(2)];
    await stranger.close();
    for (const pair of pairs) {
      const peer = raw(pair);
      await speak(peer, HTTP);
      await eventually(() => peer.closed);
      expect(peer.text).toBe("");
    }
    expect(served).toEqual([]);
    expect(member.logger.warnings.length).toBeGreaterThan(0);
  });

  test("PeerListener cuts who has an expired certificate, or one that only serves", async () => {
    const common = {
      commonName: "kubun:member:2",
      organizations: [SERVERS_GROUP],
      names: [PEER_SERVER_NAME],
      days: 1,
    };
    const nowMs = Date.now();
    const pairs = [
      await group.keys({ ...common, usages: ["client"], nowMs: nowMs - 2 * DAY_MS }),
      await group.keys({ ...common, usages: ["server"], nowMs }),
    ];
    for (const pair of pairs) {
      const peer = raw(pair);
      await speak(peer, HTTP);
      await eventually(() => peer.closed);
      expect(peer.text).toBe("");
    }
  });

  test("PeerListener refuses certificates of the cluster that are for something else", async () => {
    const pair = await group.keys({
      commonName: "kubun:member:2",
      organizations: ["developers"],
      names: [],
      usages: ["client"],
      days: 1,
      nowMs: Date.now(),
    });
    const peer = raw(pair);
    await speak(peer, HTTP);
    await eventually(() => peer.text.includes("is not of kubun:servers or system:nodes"));
    await eventually(() => peer.closed);
  });

  test("PeerListener lets no node speak as a server, and no server as another one", async () => {
    const messages = { ...HTTP, protocol: "messages", from: 2, to: 1 };
    const node = raw(
      await group.keys({
        commonName: "kubun:member:2",
        organizations: [NODES_GROUP],
        names: [PEER_SERVER_NAME],
        usages: ["client", "server"],
        days: 1,
        nowMs: Date.now(),
      }),
    );
    await speak(node, messages);
    await eventually(() => node.text.includes("not member 2's"));
    const other = raw(await group.keysOfMember(3));
    await speak(other, messages);
    await eventually(() => other.text.includes("kubun:member:3's, not member 2's"));
    expect(member.handlers.events).toEqual([]);
  });

  test("PeerListener refuses another version and another cluster, and says which", async () => {
    const pair = await group.keysOfMember(2);
    const cases = [
      [{ ...HTTP, version: 99, extra: 1 }, "protocol version 99 is not spoken here, only 1"],
      [{ ...HTTP, cluster: "other" }, `this is cluster ${CLUSTER}, not other`],
      [{ ...HTTP, protocol: "messages", from: 2, to: 9 }, "this is not member 9"],
      [{ ...HTTP, protocol: "gossip" }, "not a preface"],
    ] as const;
    for (const [preface, reason] of cases) {
      const peer = raw(pair);
      await speak(peer, preface);
      await eventually(() => peer.text.includes(reason));
      await eventually(() => peer.closed);
      expect(member.logger.warnings.some((line) => line.includes(reason))).toBe(true);
    }
  });

  test("PeerListener refuses garbage, a preface without end, and bytes behind one", async () => {
    const pair = await group.keysOfMember(2);
    const texts = ["GET / HTTP/1.1\r\n", "x".repeat(MAX_PREFACE_BYTES + 1)];
    for (const text of [...texts, `${JSON.stringify(HTTP)}\nmore`]) {
      const peer = raw(pair);
      await peer.say(text);
      await eventually(() => peer.closed);
      expect(peer.text).toContain('"ok":false');
    }
    const plain = raw(undefined, { plain: true });
    await plain.opened();
    plain.secured = true;
    await plain.say("GET / HTTP/1.1\r\n\r\n");
    await eventually(() => plain.closed);
    expect(plain.text).not.toContain("ok");
  });

  test("PeerListener cuts who does not say in time what it wants", async () => {
    const clock = new ManualClock();
    const slow = await group.member(2, { clock });
    serve(slow);
    const mute = raw(undefined, { plain: true, to: slow });
    const half = raw(await group.keysOfNode("a"), { to: slow });
    await mute.opened();
    await half.say('{"protocol":');
    // The listener has heard both once a third one, who came later, is answered.
    const third = raw(await group.keysOfNode("b"), { to: slow });
    await speak(third, HTTP);
    await eventually(() => third.text !== "");
    clock.advance(GREETING_DEADLINE_MS);
    await eventually(() => mute.closed && half.closed);
    expect(third.closed).toBe(false);
  });

  test("PeerListener gives the place of the oldest mute connection to a new one", async () => {
    const mutes = Array.from({ length: MAX_GREETINGS }, () => raw(undefined, { plain: true }));
    await Promise.all(mutes.map((mute) => mute.opened()));
    const peer = raw(await group.keysOfNode("a"));
    await speak(peer, HTTP);
    await eventually(() => peer.text === '{"ok":true}\n');
    await eventually(() => mutes.some((mute) => mute.closed));
  });

  test("PeerListener and dialler make sure of each other's authority", async () => {
    const foreign = await createCertificateAuthority(Date.now());
    const pair = await group.keysOfMember(2);
    const distrustful = group.open({ keyPair: pair, ca: foreign.certificate });
    const fetching = distrustful.fetchFrom(member.address, { organizations: [SERVERS_GROUP] });
    expect(fetching(new Request("http://x/"))).rejects.toMatchObject({ code: "refused" });
  });

  test("dialler refuses a peer that is not the one that was meant", async () => {
    const link = group.open({ keyPair: await group.keysOfNode("a") });
    const nodeLink = group.open({ keyPair: await group.keysOfNode("b") });
    nodeLink.serveHttp(() => Promise.resolve(new Response("from b")));
    const address = `127.0.0.1:${nodeLink.port}`;
    const cases = [
      { organizations: [SERVERS_GROUP] },
      { commonName: "system:node:c", organizations: [NODES_GROUP] },
      hostOfNode("c"),
    ];
    for (const expected of cases) {
      const fetching = link.fetchFrom(address, expected)(new Request("http://x/"));
      expect(fetching).rejects.toMatchObject({ code: "refused", delivered: false });
    }
    const right = { commonName: "system:node:b", organizations: [NODES_GROUP] };
    for (const expected of [right, hostOfNode("b")]) {
      const response = await link.fetchFrom(address, expected)(new Request("http://x/"));
      expect(await response.text()).toBe("from b");
    }
    member.transport.serveHttp(() => Promise.resolve(new Response("a server has a node too")));
    const toServer = link.fetchFrom(member.address, hostOfNode("c"))(new Request("http://x/"));
    expect((await toServer).ok).toBe(true);
  });

  test("members of another cluster refuse each other once, and keep their distance", async () => {
    const other = await group.member(2, { clusterId: "other" });
    introduce([member, other]);
    await eventually(() => other.logger.warnings.length > 0);
    await eventually(() => member.logger.warnings.length > 0);
    expect(member.logger.warnings.join()).toContain("cluster");
    expect(member.handlers.events).toEqual(["down 2"]);
  });
});
