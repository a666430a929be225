import { describe, expect, test } from "bun:test";
import type { MemberId } from "../raft/index.ts";
import { refusal } from "./testing/refusal.ts";
import { TestGroup } from "./testing/test-group.ts";

const value = new Uint8Array([1, 2, 3]);
const code = (name: string) => expect.objectContaining({ code: name });

describe("openStore with a group", () => {
  test("openStore: three members write, read and agree", async () => {
    const group = await TestGroup.of(3);
    const { store } = group.leader();
    const kv = await group.during(store.create("/a", value));
    for (const follower of group.followers()) {
      await group.during(follower.store.barrier());
      expect(follower.store.get("/a")).toEqual(kv);
      expect(follower.store.leadership.leader).toBe(group.leader().id);
    }
    const roles = store.membership.members().map((member) => member.role);
    expect(roles).toEqual(["voter", "voter", "voter"]);
    await group.pass(200);
    expect(new Set(await group.hashes()).size).toBe(1);
    await group.close();
  });

  test("openStore: a follower refuses writes for sure, and does not propose them", async () => {
    const group = await TestGroup.of(3);
    const follower = group.followers()[0];
    expect(await refusal(follower?.store.create("/a", value) ?? Promise.resolve())).toEqual(
      code("not-leader"),
    );
    await group.pass(500);
    expect(group.leader().store.get("/a")).toBeUndefined();
    await group.close();
  });

  test("openStore: another one leads within a second of the leader's end", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const group = await TestGroup.of(3, { seed });
      const { store, id } = group.leader();
      const kv = await group.during(store.create("/a", value));
      const left = group.crash(id);
      const before = group.clock.now();
      await group.another(id);
      const next = group.leader();
      await group.during(next.store.create("/b", value));
      expect(group.clock.now() - before).toBeLessThanOrEqual(1_000);
      expect(next.store.get("/a")).toEqual(kv);
      const back = await group.restart(id, left);
      await group.during(back.store.barrier());
      expect(back.store.get("/b")?.version).toBe(1);
      await group.pass(500);
      expect(new Set(await group.hashes()).size).toBe(1);
      await group.close();
    }
  });

  test("openStore: a leader that is cut off acknowledges nothing and answers no read", async () => {
    const group = await TestGroup.of(3);
    const old = group.leader();
    await group.during(old.store.create("/a", value));
    group.network.isolate(old.id);
    const write = refusal(old.store.create("/b", value));
    const read = refusal(old.store.barrier());
    await group.another(old.id);
    expect(old.store.leadership.self).toBe(false);
    await group.during(group.leader().store.create("/b", new Uint8Array([9])));
    expect(await group.during(write)).toEqual(code("unavailable"));
    expect(await group.during(read)).toEqual(code("unavailable"));
    group.network.heal();
    await group.during(old.store.barrier());
    expect(old.store.get("/b")?.value).toEqual(new Uint8Array([9]));
    await group.pass(500);
    expect(new Set(await group.hashes()).size).toBe(1);
    await group.close();
  });

  test("openStore: a write whose place another leader's took is refused for sure", async () => {
    const group = await TestGroup.of(3);
    const old = group.leader();
    group.network.isolate(old.id);
    const write = refusal(old.store.create("/b", value));
    await group.another(old.id);
    await group.during(group.leader().store.create("/c", value));
    group.network.heal();
    expect(await group.during(write)).toEqual(code("not-leader"));
    expect(old.store.get("/b")).toBeUndefined();
    await group.close();
  });

  test("openStore: a leader that is heard but hears nobody gives way", async () => {
    const group = await TestGroup.of(3);
    const old = group.leader();
    for (const follower of group.followers()) group.network.cut(follower.id, old.id);
    await group.another(old.id);
    expect(old.store.leadership.self).toBe(false);
    await group.during(group.leader().store.create("/a", value));
    group.network.heal();
    await group.during(old.store.barrier());
    expect(old.store.get("/a")?.version).toBe(1);
    await group.close();
  });

  test("openStore: a follower that was cut off returns without an election", async () => {
    const group = await TestGroup.of(3);
    const { store, id } = group.leader();
    const { term } = store.leadership;
    const follower = group.followers()[0]?.id ?? (0 as MemberId);
    group.network.isolate(follower);
    await group.pass(30_000);
    await group.during(store.create("/a", value));
    group.network.heal();
    await group.during(group.member(follower).store.barrier());
    expect(group.member(follower).store.get("/a")?.version).toBe(1);
    expect(group.leader().id).toBe(id);
    expect(store.leadership.term).toBe(term);
    await group.close();
  });

  test("openStore: what was decided in an earlier term is not written in a later one", async () => {
    const group = await TestGroup.of(3);
    const old = group.leader();
    const { term } = old.store.leadership;
    const kv = await group.during(old.store.create("/a", value, { term }));
    group.network.isolate(old.id);
    await group.another(old.id);
    const next = group.leader();
    const late = next.store.update("/a", value, kv.modRevision, { term });
    expect(await group.during(refusal(late))).toEqual(code("not-leader"));
    expect(await group.during(refusal(next.store.delete("/a", kv.modRevision, { term })))).toEqual(
      code("not-leader"),
    );
    group.network.heal();
    const present = next.store.leadership.term;
    await group.during(next.store.update("/a", value, kv.modRevision, { term: present }));
    await group.close();
  });

  test("openStore: leadership is told with its term, once it is whole", async () => {
    const group = await TestGroup.of(3);
    const follower = group.followers()[0];
    const heard: string[] = [];
    follower?.store.onLeadership(({ term, leader, self }) => {
      heard.push(`${term} ${leader} ${self}`);
    });
    await group.during(group.leader().store.membership.transferLeadership(follower?.id));
    await group.until("it leads", () => follower?.store.leadership.self === true);
    expect(heard.at(-1)).toBe(`2 ${follower?.id} true`);
    expect(heard.slice(0, -1).every((line) => line.endsWith("false"))).toBe(true);
    expect(heard.length).toBeGreaterThan(1);
    await group.close();
  });

  test("openStore: a new leader gives every lease its full time, and ends it once", async () => {
    const group = await TestGroup.of(3);
    const { store, id } = group.leader();
    const lease = await group.during(store.grantLease(20_000));
    await group.during(store.create("/a", value, { lease }));
    await group.pass(15_000);
    group.crash(id);
    await group.another(id);
    await group.pass(15_000);
    const next = group.leader().store;
    expect(next.get("/a")?.version).toBe(1);
    const other = group.followers()[0]?.store;
    expect(await refusal(other?.renewLease(lease) ?? Promise.resolve())).toEqual(
      code("not-leader"),
    );
    await next.renewLease(lease);
    await group.pass(15_000);
    expect(next.get("/a")?.version).toBe(1);
    await group.pass(6_000);
    expect(next.get("/a")).toBeUndefined();
    expect(next.revision as number).toBe(2);
    await group.close();
  });

  test("openStore: all barriers of a turn are one question to the leader", async () => {
    const group = await TestGroup.of(3);
    await group.pass(1_000);
    let asked = 0;
    group.network.filter = (message) => {
      if (message.type === "read-index-request") asked += 1;
      return true;
    };
    const [follower = group.leader()] = group.followers();
    const reads = Array.from({ length: 100 }, () => follower.store.barrier());
    await group.during(Promise.all(reads));
    expect(asked).toBe(1);
    await group.close();
  });

  test("openStore: an idle group writes nothing, one alone has no timer", async () => {
    const group = await TestGroup.of(3);
    await group.pass(20 * 60_000);
    const before = [...group.members.values()].map(({ disk }) => disk.steps);
    await group.pass(10 * 60_000);
    expect([...group.members.values()].map(({ disk }) => disk.steps)).toEqual(before);
    await group.close();
    const lone = new TestGroup();
    await lone.open(1);
    expect(lone.clock.pending).toBe(0);
    await lone.close();
  }, 30_000);

  test("openStore: waits for a revision that is on its way, and not for ever", async () => {
    const group = await TestGroup.of(3);
    const follower = group.followers()[0];
    const kv = await group.during(group.leader().store.create("/a", value));
    await group.during(follower?.store.reached(kv.modRevision) ?? Promise.resolve());
    expect(follower?.store.get("/a")).toEqual(kv);
    const never = follower?.store.reached((kv.modRevision + 1) as typeof kv.modRevision);
    const refused = await group.during(refusal(never ?? Promise.resolve()));
    expect(refused).toEqual(code("unavailable"));
    await group.close();
  });
});
