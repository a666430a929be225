import { describe, expect, test } from "bun:test";
import { refusal } from "./testing/refusal.ts";
import { TestGroup } from "./testing/test-group.ts";

const value = new Uint8Array([1, 2, 3]);
const code = (name: string) => expect.objectContaining({ code: name });

describe("Driver", () => {
  test("Driver: acknowledges nothing when the datasync of a majority fails", async () => {
    const group = await TestGroup.of(3);
    const { store, id } = group.leader();
    await group.during(store.create("/a", value));
    const followers = group.followers();
    for (const follower of followers) follower.disk.failSyncs();
    const write = refusal(store.create("/b", value));
    expect(await group.during(write)).toEqual(code("unavailable"));
    for (const { fatal } of followers) expect(fatal.length).toBe(1);
    await group.pass(5_000);
    // It is in the leader's log alone; nobody was told that it is there.
    expect(group.findLeader()).toBeUndefined();
    expect(group.member(id).store.get("/b")).toBeUndefined();
  });

  test("Driver: a leader whose datasync fails stops, and another goes on", async () => {
    const group = await TestGroup.of(3);
    const old = group.leader();
    await group.during(old.store.create("/a", value));
    old.disk.failSyncs();
    const write = refusal(old.store.create("/b", value));
    expect(await group.during(write)).toEqual(code("unavailable"));
    expect(old.store.mode).toBe("read-only");
    expect(old.fatal.length).toBe(1);
    const next = await group.another(old.id);
    expect(next.store.get("/a")?.version).toBe(1);
    await group.during(next.store.create("/c", value));
    const steps = old.disk.steps;
    await group.pass(10_000);
    expect(old.disk.steps).toBe(steps);
  });

  test("Driver: one follower whose datasync fails stops, and the group goes on", async () => {
    const group = await TestGroup.of(3);
    const { store } = group.leader();
    const follower = group.followers()[0];
    follower?.disk.failSyncs();
    await group.during(store.create("/a", value));
    await group.pass(1_000);
    expect(follower?.fatal.length).toBe(1);
    expect(follower?.store.get("/a")).toBeUndefined();
    await group.during(store.create("/b", value));
  });

  test("Driver: a leader without space hands over, and comes back when there is some", async () => {
    const group = await TestGroup.of(3);
    const old = group.leader();
    await group.during(old.store.create("/a", value));
    old.disk.fill();
    const write = refusal(old.store.create("/b", new Uint8Array(100_000)));
    const before = group.clock.now();
    const next = await group.another(old.id);
    expect(group.clock.now() - before).toBeLessThanOrEqual(1_000);
    expect(await group.during(write)).toEqual(code("unavailable"));
    expect(old.store.mode).toBe("read-only");
    await group.during(next.store.create("/c", value));
    expect(old.store.get("/c")).toBeUndefined();
    old.disk.free();
    await group.pass(4_000);
    expect(old.store.mode).toBe("read-write");
    await group.during(old.store.barrier());
    expect(old.store.get("/c")?.version).toBe(1);
    expect(old.fatal).toEqual([]);
    await group.close();
  });

  test("Driver: a leader without space calls up a successor until one hears it", async () => {
    const group = await TestGroup.of(3);
    const old = group.leader();
    let dropped = 0;
    group.network.filter = (message) => {
      if (message.type !== "timeout-now" || dropped > 0) return true;
      dropped += 1;
      return false;
    };
    old.disk.fill();
    const write = refusal(old.store.create("/a", new Uint8Array(100_000)));
    const next = await group.another(old.id);
    expect(dropped).toBe(1);
    expect(await group.during(write)).toEqual(code("unavailable"));
    await group.during(next.store.create("/b", value));
    old.disk.free();
    await group.pass(4_000);
    await group.close();
  });

  test("Driver: a follower without space only stops acknowledging", async () => {
    const group = await TestGroup.of(3);
    const { store, id } = group.leader();
    const follower = group.followers()[0];
    follower?.disk.fill();
    for (let number = 0; number < 20; number++) {
      await group.during(store.create(`/${number}`, new Uint8Array(10_000)));
    }
    expect(follower?.store.mode).toBe("read-only");
    expect(group.leader().id).toBe(id);
    // It cannot keep up: who asks it for the latest state is told so at once.
    const read = follower?.store.barrier() ?? Promise.resolve();
    expect(await refusal(read)).toEqual(code("unavailable"));
    follower?.disk.free();
    await group.pass(4_000);
    if (follower !== undefined) await group.during(follower.store.barrier());
    expect(follower?.store.count("/")).toBe(20);
    await group.close();
  });

  test("Driver: a majority without space takes no writes and goes on later", async () => {
    const group = await TestGroup.of(3);
    const { store, id } = group.leader();
    await group.during(store.create("/a", value));
    for (const follower of group.followers()) follower.disk.fill();
    const write = refusal(store.create("/b", new Uint8Array(100_000)));
    expect(await group.during(write)).toEqual(code("unavailable"));
    await group.pass(5_000);
    for (const { disk } of group.members.values()) disk.free();
    await group.pass(5_000);
    await group.until("somebody leads", () => group.findLeader() !== undefined);
    const now = group.leader().store;
    await group.during(now.create("/c", value));
    expect(now.get("/a")?.version).toBe(1);
    await group.during(group.member(id).store.barrier());
    expect(group.member(id).store.get("/c")?.version).toBe(1);
    await group.close();
  });

  test("Driver: what was acknowledged survives a power cut of all members", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const group = await TestGroup.of(3, { seed });
      const { store } = group.leader();
      const acknowledged: string[] = [];
      const writes = Array.from({ length: 30 }, async (_, number) => {
        await store.create(`/${number}`, new Uint8Array(number * 20));
        acknowledged.push(`/${number}`);
      });
      for (const write of writes) write.catch(() => undefined);
      for (let round = 0; round < seed; round++) await Promise.resolve();
      const left = [1, 2, 3].map((id) => [id, group.crash(id, "power")] as const);
      const known = [...acknowledged];
      for (const [id, files] of left) await group.restart(id, files);
      await group.until("somebody leads", () => group.findLeader() !== undefined);
      const found = group.leader().store;
      for (const key of known) expect(found.get(key)?.version).toBe(1);
      await group.close();
    }
  });

  test("Driver: a damaged log is made whole by the peers", async () => {
    const group = await TestGroup.of(3, { limits: { segmentBytes: 4_096 } });
    const { store } = group.leader();
    for (let number = 0; number < 40; number++) {
      await group.during(store.create(`/${number}`, new Uint8Array(500)));
    }
    await group.pass(1_000);
    const left = group.crash(3, "power");
    const logs = [...left.files.keys()].filter((path) => /log\/\d{16}\.log$/.test(path)).sort();
    const damaged = left.files.get(logs[Math.floor(logs.length / 2)] ?? "");
    damaged?.fill(0xaa, 200, 2_000);
    const back = await group.restart(3, left);
    await group.during(back.store.barrier());
    expect(back.store.count("/")).toBe(40);
    await group.during(store.create("/last", value));
    await group.pass(1_000);
    expect(back.store.get("/last")?.version).toBe(1);
    await group.close();
  });
});
