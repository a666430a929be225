import { describe, expect, test } from "bun:test";
import { ManualClock } from "../lib/index.ts";
import type { Leadership, MemberId } from "../store/index.ts";
import { announceAddress } from "./member-address.ts";
import { FakeMembership, FOUNDER } from "./testing/fake-membership.ts";

const OTHER = { ...FOUNDER, id: 2 as MemberId, name: "two", apiAddress: "https://127.0.0.1:2" };
const MOVED = { ...FOUNDER, peerAddress: "127.0.0.1:7001", apiAddress: "https://127.0.0.1:7002" };
const FOLLOWS: Leadership = { term: 4 as never, leader: OTHER.id, self: false };

describe("announceAddress", () => {
  test("announceAddress tells another server until the cluster knows", async () => {
    const membership = new FakeMembership();
    membership.list.push({ ...OTHER, leader: true });
    const clock = new ManualClock();
    const told: string[] = [];
    const announced = announceAddress({
      store: { membership, leadership: FOLLOWS },
      ports: { peer: 7001, api: 7002 },
      tell: async (address, self) => {
        told.push(address);
        // The first time nobody answers.
        if (told.length > 1) await membership.add(self);
        return told.length > 1;
      },
      clock,
      signal: new AbortController().signal,
    });
    await clock.advanceAsync(10_000, 1_000);
    await announced;
    expect(told).toEqual([OTHER.apiAddress, OTHER.apiAddress]);
    expect(membership.members()).toContainEqual(MOVED);
  });

  test("announceAddress says nothing when it is known, or when this server leads", async () => {
    const membership = new FakeMembership();
    const clock = new ManualClock();
    const tell = (): Promise<boolean> => Promise.reject(new Error("nobody is to be told"));
    const { signal } = new AbortController();
    const store = { membership, leadership: FOLLOWS };
    const ports = { peer: 1001, api: 1002 };
    await announceAddress({ store, ports, tell, clock, signal });
    const ended = new AbortController();
    const leads = { membership, leadership: { ...FOLLOWS, leader: FOUNDER.id, self: true } };
    const moved = { peer: 7001, api: 7002 };
    const waits = announceAddress({
      store: leads,
      ports: moved,
      tell,
      clock,
      signal: ended.signal,
    });
    await clock.advanceAsync(4_000, 1_000);
    ended.abort();
    await waits;
  });
});
