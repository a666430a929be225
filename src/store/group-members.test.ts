import { describe, expect, test } from "bun:test";
import type { MemberId } from "../raft/index.ts";
import { readMemberIdentity } from "./member-identity.ts";
import { openTestStore } from "./testing/open-test-store.ts";
import { refusal } from "./testing/refusal.ts";
import { memberOf, TEST_CLUSTER, TestGroup } from "./testing/test-group.ts";

const value = new Uint8Array([1, 2, 3]);
const code = (name: string) => expect.objectContaining({ code: name });

describe("GroupMembership", () => {
  test("GroupMembership: a learner receives, and votes once it has caught up", async () => {
    const group = await TestGroup.of(1);
    const { store } = group.leader();
    await group.during(store.create("/a", value));
    const changes: number[] = [];
    store.membership.onChange(() => changes.push(store.membership.members().length));
    await group.during(store.membership.add(memberOf(2)));
    expect(group.roleOf(2)).toBe("learner");
    expect(store.membership.status().find((member) => member.id === 2)).toMatchObject({
      name: "server-2",
      leader: false,
    });
    expect(String(await refusal(store.membership.promote(2 as MemberId)))).toContain(
      "cannot vote yet",
    );
    const joined = await group.open(2, { start: { type: "join" } });
    await group.until("it votes", () => group.roleOf(2) === "voter");
    await group.during(joined.store.barrier());
    expect(joined.store.get("/a")?.version).toBe(1);
    expect(joined.store.membership.members()).toEqual(store.membership.members());
    expect(store.membership.status()).toMatchObject([
      { id: 1, leader: true, lag: 0 },
      { id: 2, leader: false, reachable: true, lag: 0 },
    ]);
    expect(changes).toEqual([2, 2]);
    await group.close();
  });

  test("GroupMembership: only the leader changes members; addresses may change", async () => {
    const group = await TestGroup.of(3);
    const follower = group.followers()[0];
    const add = follower?.store.membership.add(memberOf(4)) ?? Promise.resolve();
    expect(await refusal(add)).toEqual(code("not-leader"));
    const { membership } = group.leader().store;
    const moved = { ...memberOf(2), peerAddress: "127.0.0.9:1" };
    await group.during(membership.add(moved));
    expect(membership.members().find((member) => member.id === 2)).toEqual(moved);
    expect(String(await refusal(membership.remove(9 as MemberId)))).toContain("no member 9");
    await group.close();
  });

  test("GroupMembership: a removed member hears of it, and cannot come back", async () => {
    const group = await TestGroup.of(3);
    const { store } = group.leader();
    await group.during(store.membership.remove(3 as MemberId));
    const third = group.member(3);
    await group.until("it hears of it", () => third.removed);
    expect(third.store.mode).toBe("closed");
    expect(await refusal(third.store.barrier())).toEqual(code("closed"));
    expect(store.membership.members().map((member) => member.id as number)).toEqual([1, 2]);
    const back = store.membership.add(memberOf(3));
    expect(String(await refusal(back))).toContain("never used twice");
    const left = group.crash(3);
    expect(String(await refusal(group.restart(3, left)))).toContain("was removed");
    await group.during(store.create("/a", value));
    await group.close();
  });

  test("GroupMembership: what waited for a removal brings nobody back", async () => {
    const group = await TestGroup.of(3);
    const { membership } = group.leader().store;
    await group.during(membership.add(memberOf(4)));
    const removing = [3, 4].map((id) => membership.remove(id as MemberId));
    const moving = refusal(membership.add(memberOf(3)));
    const adding = refusal(membership.add(memberOf(4)));
    await group.during(Promise.all(removing));
    expect(String(await group.during(moving))).toContain("never used twice");
    expect(String(await group.during(adding))).toContain("never used twice");
    expect(membership.members().map((member) => member.id as number)).toEqual([1, 2]);
    await group.close();
  });

  test("GroupMembership: a learner that is removed while it catches up does not vote", async () => {
    const group = await TestGroup.of(2);
    const { membership } = group.leader().store;
    await group.during(membership.add(memberOf(3)));
    await group.open(3, { start: { type: "join", members: membership.members() } });
    await group.until("it has caught up", () =>
      membership.status().some(({ id, lag }) => id === 3 && lag === 0),
    );
    const removing = membership.remove(3 as MemberId);
    const promoting = refusal(membership.promote(3 as MemberId));
    await group.during(removing);
    expect(String(await group.during(promoting))).toContain("there is no member 3");
    expect(membership.members().map((member) => member.id as number)).toEqual([1, 2]);
    await group.close();
  });

  test("GroupMembership: a removed member that did not hear of it elects nobody", async () => {
    const group = await TestGroup.of(3);
    const { store, id } = group.leader();
    group.network.isolate(3 as MemberId);
    await group.during(store.membership.remove(3 as MemberId));
    await group.pass(10_000);
    const { term } = store.leadership;
    group.network.heal();
    await group.pass(10_000);
    expect(store.leadership).toEqual({ term, leader: id, self: true });
    // With one of two gone, the removed one's vote makes no majority.
    group.crash(2);
    await group.pass(10_000);
    expect(group.findLeader()).toBeUndefined();
    expect(group.member(3).store.leadership.self).toBe(false);
    await group.close();
  });

  test("GroupMembership: a leader that removes itself has a successor at once", async () => {
    const group = await TestGroup.of(3);
    const { store, id } = group.leader();
    await group.during(store.membership.remove(id));
    const before = group.clock.now();
    const next = await group.another(id);
    expect(group.clock.now() - before).toBeLessThanOrEqual(300);
    expect(group.member(id).removed).toBe(true);
    await group.during(next.store.create("/a", value));
    expect(next.store.membership.members().length).toBe(2);
    await group.close();
  });

  test("GroupMembership: of two, the one that stays leads when the leader leaves", async () => {
    const group = await TestGroup.of(2);
    const { store, id } = group.leader();
    await group.during(store.membership.remove(id));
    const { store: stays } = await group.another(id);
    await group.during(stays.create("/a", value));
    expect(stays.membership.members().length).toBe(1);
    await group.close();
  });

  test("GroupMembership: two become one and two again", async () => {
    const group = await TestGroup.of(2);
    const { store } = group.leader();
    await group.during(store.create("/a", value));
    await group.during(store.membership.remove(2 as MemberId));
    await group.during(store.create("/b", value));
    const last = refusal(store.membership.remove(1 as MemberId));
    expect(String(await group.during(last))).toContain("the last that can lead");
    const joined = await group.join(3);
    await group.during(joined.store.barrier());
    expect(joined.store.count("/")).toBe(2);
    await group.close();
  });

  test("GroupMembership: leadership goes to whom it is given, or to the best", async () => {
    const group = await TestGroup.of(3);
    const first = group.leader();
    await group.during(first.store.membership.transferLeadership(3 as MemberId));
    await group.until("it leads", () => group.findLeader()?.id === (3 as MemberId));
    await group.during(group.leader().store.membership.transferLeadership());
    const next = await group.another(3 as MemberId);
    await group.during(next.store.create("/a", value));
    const refused = await refusal(first.store.membership.transferLeadership(9 as MemberId));
    expect(String(refused)).toContain("9");
    await group.close();
  });
});

describe("claimIdentity", () => {
  test("claimIdentity: a wiped disk is refused, and told what to do", async () => {
    const group = await TestGroup.of(3);
    const left = group.crash(3);
    const wiped = String(await refusal(group.open(3, { start: { type: "restart" } })));
    expect(wiped).toContain("Remove the member from the cluster");
    const files = new Map([...left.files].filter(([path]) => path === "/data/member.json"));
    expect(String(await refusal(group.restart(3, { files, image: undefined })))).toContain(
      "has lost the log of member 3",
    );
    const other = group.open(4, { ...left, start: { type: "join" } });
    expect(String(await refusal(other))).toContain("belongs to member 3");
    await group.close();
  });

  test("claimIdentity: a store alone can take others in later", async () => {
    const alone = await openTestStore();
    await alone.store.create("/a", value);
    const { self, clusterId } = alone.store.membership;
    const files = alone.disk.afterCrash("kill");
    const image = alone.storage.db.serialize();
    const group = new TestGroup();
    const refused = await refusal(group.open(1, { files, image }));
    expect(String(refused)).toContain(`belongs to member ${self} of cluster ${clusterId}`);
    const known = { self: { ...memberOf(1), id: self }, clusterId };
    const opened = await group.open(self, { files, image, known });
    await group.during(opened.store.membership.add(memberOf(2)));
    await group.open(2, { start: { type: "join" }, known: { self: memberOf(2), clusterId } });
    await group.until("it votes", () => group.roleOf(2) === "voter");
    expect(group.member(2).store.get("/a")?.version).toBe(1);
    expect(opened.store.membership.members()[0]?.peerAddress).not.toBe("");
    await group.close();
  });

  test("claimIdentity: is durable before the log is", async () => {
    const group = new TestGroup();
    const { disk } = await group.open(1);
    expect(await readMemberIdentity({ disk, directory: "/data" })).toEqual({
      memberId: 1 as MemberId,
      clusterId: TEST_CLUSTER,
      founder: true,
      phase: "member",
    });
    await group.close();
  });
});
