import { describe, expect, test } from "bun:test";
import { ManualClock } from "../lib/index.ts";
import type { Leadership, MemberId } from "../store/index.ts";
import type { MemberList } from "./join-wire.ts";
import { watchForRemoval } from "./member-removal.ts";
import { FakeMembership, FOUNDER } from "./testing/fake-membership.ts";

const OTHER = { ...FOUNDER, id: 2 as MemberId, name: "two", apiAddress: "https://127.0.0.1:2" };
const ELSEWHERE: MemberList = {
  clusterId: "cluster-1",
  members: [{ ...OTHER, leader: true, reachable: true, lag: 0 }],
};

interface Case {
  readonly leader?: MemberId;
  readonly lists: readonly (MemberList | undefined)[];
}

/** How often it was found out, after as many looks as there are lists. */
async function removals({ leader, lists }: Case): Promise<number> {
  const clock = new ManualClock();
  const membership = new FakeMembership();
  membership.list.push({ ...OTHER, leader: false });
  const leadership: Leadership = { term: 4 as never, leader, self: false };
  const ended = new AbortController();
  let [looks, found] = [0, 0];
  const watch = watchForRemoval({
    store: { membership, leadership },
    ask: async (address) => {
      expect(address).toBe(OTHER.apiAddress);
      return lists[looks++];
    },
    clock,
    signal: ended.signal,
    onRemoved: () => found++,
  });
  for (let look = 0; look < lists.length; look++) await clock.advanceAsync(3_000, 3_000);
  ended.abort();
  await watch;
  return found;
}

describe("watchForRemoval", () => {
  test("watchForRemoval tells once when a leader's list goes on without this server", async () => {
    expect(await removals({ lists: [ELSEWHERE, ELSEWHERE, ELSEWHERE] })).toBe(1);
    expect(await removals({ lists: [ELSEWHERE, undefined, ELSEWHERE] })).toBe(0);
  });

  test("watchForRemoval believes no list of a follower or of another cluster", async () => {
    const [member] = ELSEWHERE.members;
    const twice = (list: MemberList): Case => ({ lists: [list, list, list] });
    const { reachable, ...follower } = { ...OTHER, leader: true, reachable: true };
    expect(reachable).toBe(true);
    expect(await removals(twice({ ...ELSEWHERE, members: [follower] }))).toBe(0);
    expect(await removals(twice({ ...ELSEWHERE, clusterId: "cluster-2" }))).toBe(0);
    const self = { ...FOUNDER, leader: false };
    const members = member === undefined ? [self] : [member, self];
    expect(await removals(twice({ ...ELSEWHERE, members }))).toBe(0);
  });

  test("watchForRemoval asks nobody while a leader is known", async () => {
    const lists = [ELSEWHERE, ELSEWHERE, ELSEWHERE];
    expect(await removals({ leader: OTHER.id, lists })).toBe(0);
  });
});
