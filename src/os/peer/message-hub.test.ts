import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { eventually } from "../../lib/testing/eventually.ts";
import type { MemberId, Message } from "../../store/index.ts";
import { CLUSTER, introduce, PeerGroup, type TestMember } from "../testing/peer-group.ts";
import { RawPeer } from "../testing/raw-peer.ts";
import { FRAME, frame, MAX_FRAME_BYTES } from "./frame.ts";
import { MAX_QUEUED_APPEND_BYTES, MAX_WAITING_BYTES } from "./message-peer.ts";
import { PROTOCOL_VERSION } from "./preface.ts";

type Append = Extract<Message, { type: "append-request" }>;
type Index = Append["commit"];

function heartbeat(from: MemberId, to: MemberId, context: number): Message {
  const term = 1 as Message["term"];
  return {
    type: "heartbeat",
    from,
    to,
    term,
    commit: 0 as Index,
    context,
    held: 0 as Index,
  };
}

function append(from: MemberId, to: MemberId, index: number, bytes: number): Message {
  const term = 1 as Message["term"];
  const data = new Uint8Array(bytes).fill(index);
  return {
    type: "append-request",
    from,
    to,
    term,
    previousIndex: (index - 1) as Index,
    previousTerm: term,
    entries: [{ index: index as Index, term, type: "data", data }],
    commit: 0 as Index,
    held: 0 as Index,
  };
}

/** Bytes in buffers that somebody still holds. */
function heldBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().external;
}

describe("messages between members", () => {
  let group: PeerGroup;
  let raws: RawPeer[];

  beforeEach(async () => {
    group = await PeerGroup.create();
    raws = [];
  });

  afterEach(async () => {
    for (const raw of raws) raw.close();
    await group.close();
  });

  async function pair(): Promise<readonly [TestMember, TestMember]> {
    const [one, two] = await group.members(2);
    if (one === undefined || two === undefined) throw new Error("two members were asked for");
    await eventually(() => one.handlers.events.length + two.handlers.events.length === 2);
    return [one, two];
  }

  /** Poses as member 2, with its certificate. */
  async function impostor(to: TestMember): Promise<RawPeer> {
    const { certificate: cert, privateKey: key } = await group.keysOfMember(2);
    const raw = new RawPeer(to.transport.port, { cert, key, ca: group.ca.certificate });
    raws.push(raw);
    const preface = { protocol: "messages", version: PROTOCOL_VERSION, cluster: CLUSTER };
    await raw.say(`${JSON.stringify({ ...preface, from: 2, to: to.id })}\n`);
    await eventually(() => raw.text.startsWith('{"ok":true}\n'));
    return raw;
  }

  test("messages arrive in order on both sides", async () => {
    const [one, two] = await pair();
    for (let index = 1; index <= 100; index++) {
      one.transport.send(two.id, [append(one.id, two.id, index, 70_000)]);
      two.transport.send(one.id, [heartbeat(two.id, one.id, index)]);
    }
    await eventually(() => two.handlers.messages.length === 100);
    await eventually(() => one.handlers.messages.length === 100);
    const entries = two.handlers.messages.map((each) =>
      each.type === "append-request" ? each.entries[0] : undefined,
    );
    expect(entries.map((each) => Number(each?.index))).toEqual(
      Array.from({ length: 100 }, (_, at) => at + 1),
    );
    expect(entries[41]?.data).toEqual(new Uint8Array(70_000).fill(42));
  });

  test("that something is committed goes along with the next entries, or soon alone", async () => {
    const [one, two] = await pair();
    const news = { ...append(one.id, two.id, 1, 0), entries: [] };
    one.transport.send(two.id, [news]);
    one.transport.send(two.id, [append(one.id, two.id, 1, 10)]);
    await eventually(() => two.handlers.messages.length === 1);
    one.transport.send(two.id, [news]);
    await eventually(() => two.handlers.messages.length === 2);
    const counts = two.handlers.messages.map((each) =>
      each.type === "append-request" ? each.entries.length : undefined,
    );
    expect(counts).toEqual([1, 0]);
  });

  test("a member is reached by a peer that it does not know, and answers it", async () => {
    const one = await group.member(1);
    const two = await group.member(2);
    two.transport.setPeers(new Map([[one.id, one.address]]));
    await eventually(() => one.handlers.events.includes("up 2"));
    one.transport.send(two.id, [heartbeat(one.id, two.id, 1)]);
    await eventually(() => two.handlers.messages.length === 1);
  });

  test("a peer that dies is told at once, and comes back at its address", async () => {
    const [one, two] = await pair();
    await two.transport.close();
    await eventually(() => one.handlers.events.includes("down 2"));
    // Nobody is there: messages are lost without a word.
    one.transport.send(two.id, [heartbeat(one.id, two.id, 1)]);
    const again = await group.member(2, { port: two.transport.port });
    again.transport.setPeers(new Map([[one.id, one.address]]));
    await eventually(() => one.handlers.events.join() === "up 2,down 2,up 2");
    await eventually(() => again.handlers.events.includes("up 1"));
    one.transport.send(two.id, [heartbeat(one.id, two.id, 2)]);
    await eventually(() => again.handlers.messages.length === 1);
  });

  test("a peer that nobody answers for is told down once", async () => {
    const one = await group.member(1);
    const two = await group.member(2);
    await two.transport.close();
    one.transport.setPeers(new Map([[two.id, two.address]]));
    await eventually(() => one.handlers.events.includes("down 2"));
    await eventually(() => one.logger.warnings.some((line) => line.includes("cannot reach")));
    expect(one.handlers.events).toEqual(["down 2"]);
    expect(one.logger.warnings.length).toBe(1);
  });

  test("a peer moves to another address", async () => {
    const [one, two] = await pair();
    const moved = await group.member(2);
    await two.transport.close();
    one.transport.setPeers(new Map([[moved.id, moved.address]]));
    await eventually(() => moved.handlers.events.includes("up 1"));
  });

  test("a peer that stops reading costs others nothing, and memory up to a limit", async () => {
    const [one, three] = [await group.member(1), await group.member(3)];
    introduce([one, three]);
    await eventually(() => one.handlers.events.includes("up 3"));
    const two = await impostor(one);
    two.stall();
    const before = heldBytes();
    const to = 2 as MemberId;
    for (let index = 1; index <= 400; index++) {
      one.transport.send(to, [append(one.id, to, index, 1024 * 1024), heartbeat(one.id, to, 1)]);
      one.transport.send(three.id, [heartbeat(one.id, three.id, index)]);
      // Lets what was sent leave, as it would between two ticks.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => three.handlers.messages.length === 400);
    // Of 400 MiB: what is queued, and what the connection took already.
    expect(heldBytes() - before).toBeLessThan(3 * (MAX_QUEUED_APPEND_BYTES + MAX_WAITING_BYTES));
    expect(one.handlers.events).toContain("up 2");
    // It is silent too, and is given up for that.
    await eventually(() => one.handlers.events.includes("down 2"));
  });

  test("a peer that sends garbage, too much, or in another's name is cut", async () => {
    const { encodeMessage } = await import("../../raft/index.ts");
    const one = await group.member(1);
    const oversize = Buffer.from([0xff, 0xff, 0xff, 0xff, FRAME.message]);
    expect(oversize.readUInt32BE(0)).toBeGreaterThan(MAX_FRAME_BYTES);
    const bad = [
      oversize,
      frame(FRAME.message, "garbage"),
      frame(FRAME.data, "of another protocol"),
      frame(FRAME.message, encodeMessage(heartbeat(3 as MemberId, one.id, 1))),
      frame(FRAME.message, encodeMessage(heartbeat(2 as MemberId, 9 as MemberId, 1))),
    ];
    for (const bytes of bad) {
      const raw = await impostor(one);
      await raw.say(bytes);
      await eventually(() => raw.closed);
    }
    expect(one.handlers.messages).toEqual([]);
    const raw = await impostor(one);
    await raw.say(frame(FRAME.message, encodeMessage(heartbeat(2 as MemberId, one.id, 1))));
    await eventually(() => one.handlers.messages.length === 1);
  });
});
