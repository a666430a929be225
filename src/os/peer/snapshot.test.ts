import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../lib/testing/eventually.ts";
import type { MemberId, SnapshotFile } from "../../store/index.ts";
import { introduce, PeerGroup, type TestMember } from "../testing/peer-group.ts";
import { SNAPSHOT_CHUNK_BYTES } from "./snapshot-sender.ts";

type Point = SnapshotFile["point"];

const POINT: Point = {
  index: 7 as Point["index"],
  term: 2 as Point["term"],
  configuration: {
    voters: [1, 2] as MemberId[],
    outgoing: [],
    learners: [],
    learnersNext: [],
    witnesses: [],
    autoLeave: false,
  },
};
const CHUNKS = 6;
/** Ends in the middle of a chunk. */
const BYTES = (CHUNKS - 1) * SNAPSHOT_CHUNK_BYTES + 1_000;

describe("snapshots between members", () => {
  let group: PeerGroup;
  let one: TestMember;
  let two: TestMember;
  let content: Uint8Array;
  let signal: AbortSignal;

  beforeEach(async () => {
    group = await PeerGroup.create();
    [one, two] = [await group.member(1), await group.member(2)];
    introduce([one, two]);
    content = crypto.getRandomValues(new Uint8Array(60_000));
    const whole = new Uint8Array(BYTES);
    for (let at = 0; at < BYTES; at++) whole[at] = (content[at % 60_000] ?? 0) ^ (at >> 16);
    content = whole;
    signal = new AbortController().signal;
  });

  afterEach(async () => {
    await group.close();
  });

  function fileOf(
    read?: SnapshotFile["read"],
    id = "snapshot-1",
  ): SnapshotFile & { reads: number[] } {
    const reads: number[] = [];
    return {
      point: POINT,
      id,
      bytes: BYTES,
      reads,
      read(offset, length) {
        reads.push(offset);
        return read?.(offset, length) ?? Promise.resolve(content.subarray(offset, offset + length));
      },
    };
  }

  test("sendSnapshot brings the whole file, and resolves once it is taken", async () => {
    let taking = false;
    const taken = Promise.withResolvers<void>();
    two.handlers.takeSnapshot = () => {
      taking = true;
      return taken.promise;
    };
    let done = false;
    const sending = one.transport.sendSnapshot(two.id, fileOf(), signal).then(() => {
      done = true;
    });
    await eventually(() => taking);
    expect(done).toBe(false);
    taken.resolve();
    await sending;
    const [snapshot] = two.handlers.snapshots;
    expect(snapshot?.point).toEqual(POINT);
    expect(Buffer.compare(readFileSync(snapshot?.path ?? ""), content)).toBe(0);
  });

  test("sendSnapshot goes on where it was cut, at each chunk", async () => {
    let receiver = two;
    const { port } = two.transport;
    const cuts = new Set(Array.from({ length: CHUNKS }, (_, at) => at * SNAPSHOT_CHUNK_BYTES));
    const file = fileOf(async (offset, length) => {
      if (cuts.delete(offset)) {
        // What was sent before reached the receiver's disk, then its process ends.
        await eventually(() => partBytes(two) === offset);
        await receiver.transport.close();
        receiver = await restart(port);
      }
      return content.subarray(offset, offset + length);
    });
    async function restart(at: number): Promise<TestMember> {
      const again = await group.member(2, { port: at });
      // The same disk as before.
      await again.transport.start(again.handlers, { snapshotDirectory: two.directory });
      return again;
    }
    await one.transport.sendSnapshot(two.id, file, signal);
    const [snapshot] = receiver.handlers.snapshots;
    expect(Buffer.compare(readFileSync(snapshot?.path ?? ""), content)).toBe(0);
    // Each chunk was read once before its cut, and once after it; a dial may fail in between.
    expect(file.reads.length).toBeGreaterThanOrEqual(2 * CHUNKS);
    expect(file.reads.length).toBeLessThanOrEqual(3 * CHUNKS);
  }, 20_000);

  test("sendSnapshot of a process that began anew checks what its predecessor sent", async () => {
    const abort = new AbortController();
    const half = fileOf((offset, length) => {
      if (offset >= 3 * SNAPSHOT_CHUNK_BYTES) return new Promise(() => undefined);
      return Promise.resolve(content.subarray(offset, offset + length));
    });
    const sending = one.transport.sendSnapshot(two.id, half, abort.signal);
    await eventually(() => partBytes(two) === 3 * SNAPSHOT_CHUNK_BYTES);
    abort.abort(new Error("the sender ends"));
    expect(sending).rejects.toThrow("the sender ends");
    const again = fileOf();
    await one.transport.sendSnapshot(two.id, again, signal);
    expect(again.reads.length).toBe(CHUNKS);
    expect(two.handlers.snapshots.length).toBe(1);
  });

  test("sendSnapshot of what was damaged on disk begins from the start", async () => {
    const abort = new AbortController();
    const half = fileOf((offset, length) => {
      if (offset >= 2 * SNAPSHOT_CHUNK_BYTES) return new Promise(() => undefined);
      return Promise.resolve(content.subarray(offset, offset + length));
    });
    const sending = one.transport.sendSnapshot(two.id, half, abort.signal);
    await eventually(() => partBytes(two) === 2 * SNAPSHOT_CHUNK_BYTES);
    abort.abort(new Error("the sender ends"));
    expect(sending).rejects.toThrow();
    const [part] = readdirSync(two.directory);
    writeFileSync(join(two.directory, part ?? ""), new Uint8Array(2 * SNAPSHOT_CHUNK_BYTES));
    const damaged = one.transport.sendSnapshot(two.id, fileOf(), signal);
    expect(damaged).rejects.toThrow("checksum differs");
    expect(two.handlers.snapshots).toEqual([]);
    await one.transport.sendSnapshot(two.id, fileOf(), signal);
    expect(two.handlers.snapshots.length).toBe(1);
  });

  test("sendSnapshot of another file removes what is left of an older one", async () => {
    for (const name of [`${"0".repeat(32)}.part`, `${"1".repeat(32)}.state`, "another"]) {
      writeFileSync(join(two.directory, name), "left over");
    }
    await one.transport.sendSnapshot(two.id, fileOf(), signal);
    const left = readdirSync(two.directory).filter((name) => !name.endsWith(".state"));
    expect(left).toEqual(["another"]);
    expect(readdirSync(two.directory).length).toBe(2);
  });

  test("sendSnapshot has at most two transfers under way, there and here", async () => {
    const members = [one, two, await group.member(3), await group.member(4)];
    introduce(members);
    for (const senders of ["one", "many"] as const) {
      let taking = 0;
      let most = 0;
      const [hub, ...rest] = members;
      for (const { handlers } of members) {
        handlers.takeSnapshot = async () => {
          most = Math.max(most, ++taking);
          await new Promise((resolve) => setImmediate(resolve));
          taking--;
        };
      }
      if (hub === undefined) throw new Error("there are four members");
      await Promise.all(
        rest.map((other) => {
          const [from, to] = senders === "one" ? [hub, other] : [other, hub];
          return from.transport.sendSnapshot(to.id, fileOf(undefined, `s-${other.id}`), signal);
        }),
      );
      expect(most).toBeLessThanOrEqual(2);
    }
    expect(one.handlers.snapshots.length).toBe(3);
  });

  test("sendSnapshot fails when the receiver cannot take it, or nobody answers", async () => {
    two.handlers.takeSnapshot = () => Promise.reject(new Error("no room"));
    const refused = one.transport.sendSnapshot(two.id, fileOf(), signal);
    expect(refused).rejects.toThrow("no room");
    await two.transport.close();
    const unanswered = one.transport.sendSnapshot(two.id, fileOf(), signal);
    expect(unanswered).rejects.toMatchObject({ code: "unreachable" });
    const nobody = one.transport.sendSnapshot(9 as MemberId, fileOf(), signal);
    expect(nobody).rejects.toMatchObject({ code: "unreachable" });
  });

  test("sendSnapshot leaves messages their own connection", async () => {
    await eventually(() => one.handlers.events.includes("up 2"));
    const held = Promise.withResolvers<void>();
    two.handlers.takeSnapshot = () => held.promise;
    const sending = one.transport.sendSnapshot(two.id, fileOf(), signal);
    await eventually(() => readdirSync(two.directory).length > 0);
    const term = 1 as Point["term"];
    one.transport.send(two.id, [{ type: "timeout-now", from: one.id, to: two.id, term }]);
    await eventually(() => two.handlers.messages.length === 1);
    held.resolve();
    await sending;
  });

  function partBytes(member: TestMember): number {
    const part = readdirSync(member.directory).find((name) => name.endsWith(".part"));
    return part === undefined ? 0 : readFileSync(join(member.directory, part)).length;
  }
});
