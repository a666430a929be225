import { describe, expect, test } from "bun:test";
import type { MemberId } from "../raft/index.ts";
import { refusal } from "./testing/refusal.ts";
import { TestGroup } from "./testing/test-group.ts";

const value = new Uint8Array([1, 2, 3]);
const code = (name: string) => expect.objectContaining({ code: name });

/** A checkpoint every few writes, and a log that keeps little of what is applied. */
const limits = {
  segmentBytes: 4_096,
  housekeeper: {
    checkpointBytes: 64 * 1_024,
    retention: { maxEntries: 20, maxBytes: 20_000 },
  },
};

async function write(group: TestGroup, count: number, name = "k"): Promise<void> {
  const { store } = group.leader();
  for (let number = 0; number < count; number++) {
    await group.during(store.create(`/${name}/${number}`, new Uint8Array(300)));
  }
}

describe("SnapshotRoom", () => {
  test("SnapshotRoom: who is far behind gets the state, and its watchers list anew", async () => {
    const group = await TestGroup.of(3, { limits });
    await group.pass(6_000);
    await write(group, 5, "first");
    await group.pass(500);
    const behind = group.followers()[0];
    if (behind === undefined) throw new Error("no follower");
    const { signal } = new AbortController();
    const watch = behind.store.watch("/", behind.store.revision, { signal });
    const watched = watch[Symbol.asyncIterator]();
    const event = refusal(watched.next());
    await group.pass(100);
    group.network.isolate(behind.id);
    const before = group.network.snapshots;
    await write(group, 200);
    await group.pass(1_000);
    group.network.heal();
    await group.during(behind.store.barrier());
    expect(group.network.snapshots).toBe(before + 1);
    expect(behind.store.count("/k/")).toBe(200);
    expect(await group.during(event)).toEqual(code("slow-watcher"));
    expect(behind.store.membership.members().length).toBe(3);
    // It takes part as before, and what it has now survives.
    await write(group, 5, "later");
    await group.during(behind.store.barrier());
    expect(behind.store.count("/later/")).toBe(5);
    const left = group.crash(behind.id, "power");
    const back = await group.restart(behind.id, left);
    await group.during(back.store.barrier());
    expect(back.store.count("/")).toBe(210);
    await group.close();
  });

  test("SnapshotRoom: a member that is a little behind needs none", async () => {
    const group = await TestGroup.of(3, { limits });
    await write(group, 60);
    await group.pass(500);
    const before = group.network.snapshots;
    const behind = group.followers()[0]?.id ?? (0 as MemberId);
    group.network.isolate(behind);
    await write(group, 10, "few");
    await group.pass(1_000);
    group.network.heal();
    await group.during(group.member(behind).store.barrier());
    expect(group.member(behind).store.count("/few/")).toBe(10);
    expect(group.network.snapshots).toBe(before);
    await group.close();
  });

  test("SnapshotRoom: two share a file; a broken transfer is repeated", async () => {
    const group = await TestGroup.of(5, { limits });
    await group.pass(6_000);
    const [first, second] = group.followers();
    if (first === undefined || second === undefined) throw new Error("no followers");
    group.network.isolate(first.id);
    group.network.isolate(second.id);
    await write(group, 120);
    group.network.failSnapshots = 1;
    group.network.snapshotIds.clear();
    group.network.heal();
    await group.during(Promise.all([first.store.barrier(), second.store.barrier()]));
    expect(first.store.count("/k/")).toBe(120);
    expect(second.store.count("/k/")).toBe(120);
    expect(group.network.snapshotIds.size).toBe(1);
    await group.pass(70_000);
    const { disk } = group.leader();
    expect(await disk.list("/data/snapshots-out")).toEqual([]);
    expect(await first.disk.list("/data/snapshots-in")).toEqual([]);
    await group.close();
  });

  test("openStore: refuses a log whose state is gone, instead of beginning anew", async () => {
    const group = await TestGroup.of(3, { limits });
    await group.pass(6_000);
    await write(group, 100);
    const { id } = group.leader();
    const { files } = group.crash(id, "power");
    const refused = await refusal(group.restart(id, { files, image: undefined }));
    expect(String(refused)).toContain("/data/log");
    await group.another(id);
    await group.close();
  });

  test("SnapshotRoom: a member joins under load, and nothing is missing", async () => {
    const group = await TestGroup.of(1, { limits });
    await write(group, 100);
    const { store } = group.leader();
    let written = 0;
    const load = (async () => {
      for (; written < 200; written++) await store.create(`/load/${written}`, value);
    })();
    const joined = await group.join(2);
    await group.during(load);
    await group.during(joined.store.barrier());
    expect(joined.store.count("/k/")).toBe(100);
    expect(joined.store.count("/load/")).toBe(200);
    await group.close();
  });
});

describe("openWitness", () => {
  test("openWitness: two members and a witness survive the loss of either member", async () => {
    for (const lost of [1, 2]) {
      const group = await TestGroup.of(2, { limits });
      await group.joinWitness(9);
      await group.until("it votes", () => group.roleOf(9) === "witness");
      await write(group, 10);
      group.crash(lost);
      await group.until("the other one leads", () => group.findLeader() !== undefined);
      await write(group, 10, "after");
      expect(group.leader().store.count("/")).toBe(20);
      await group.close();
    }
  });

  test("openWitness: brings up a survivor that lags by 10,000 entries", async () => {
    const group = await TestGroup.of(2, { limits: { segmentBytes: 64 * 1_024 } });
    const witness = await group.joinWitness(9);
    await group.until("it votes", () => group.roleOf(9) === "witness");
    await group.pass(1_000);
    const leader = group.leader();
    const other = group.followers()[0];
    if (other === undefined) throw new Error("no follower");
    group.network.isolate(other.id);
    for (let number = 0; number < 10_000; number++) {
      const written = leader.store.create(`/${number}`, value);
      await written;
      if (number % 1_000 === 0) await group.pass(100);
    }
    expect(witness.keptEntries).toBeGreaterThanOrEqual(10_000);
    group.crash(leader.id);
    group.network.heal();
    await group.until("the survivor leads", () => group.findLeader()?.id === other.id, 60_000);
    expect(group.leader().store.count("/")).toBe(10_000);
    await write(group, 1, "after");
    await group.close();
  }, 60_000);

  test("openWitness: drops what all members have, and survives a power cut", async () => {
    const group = await TestGroup.of(2, { limits });
    const witness = await group.joinWitness(9);
    await write(group, 50);
    await group.pass(1_000);
    expect(witness.keptEntries).toBeLessThan(10);
    expect(witness.leadership.leader).toBe(group.leader().id);
    expect(witness.members().map((member) => member.role)).toEqual(["voter", "voter", "witness"]);
    const left = group.crashWitness(9);
    const back = await group.openWitness(9, { files: left });
    await group.until("it follows", () => back.leadership.leader === group.leader().id);
    group.crash(group.followers()[0]?.id ?? 0);
    await write(group, 3, "after");
    await group.close();
  });
});
