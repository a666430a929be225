import { describe, expect, test } from "bun:test";
import { ManualClock } from "../lib/index.ts";
import type { LeaseId } from "../store/index.ts";
import {
  EVENT_TTL_MS,
  EventLease,
  eventTtlMs,
  LEAST_EVENT_TTL_MS,
  MAX_SHARING,
  PLENTY_OF_EVENTS,
} from "./event-lease.ts";

describe("EventLease", () => {
  test("EventLease: events of five minutes share a lease, but not more than so many", async () => {
    const clock = new ManualClock();
    const ttls: number[] = [];
    const grantLease = async (ttlMs: number) => ttls.push(ttlMs) as LeaseId;
    const leases = new EventLease({ count: () => 10, grantLease }, clock);
    for (let event = 0; event < MAX_SHARING; event++)
      expect(await leases.current()).toBe(1 as LeaseId);
    expect(await leases.current()).toBe(2 as LeaseId);
    clock.advance(5 * 60 * 1000);
    expect(await leases.current()).toBe(3 as LeaseId);
    leases.forget();
    expect(await leases.current()).toBe(4 as LeaseId);
    expect(new Set(ttls)).toEqual(new Set([EVENT_TTL_MS + 5 * 60 * 1000]));
  });

  test("eventTtlMs: an hour, less when there are very many, but never nothing", () => {
    expect([0, PLENTY_OF_EVENTS].map(eventTtlMs)).toEqual([EVENT_TTL_MS, EVENT_TTL_MS]);
    expect(eventTtlMs(2 * PLENTY_OF_EVENTS)).toBe(EVENT_TTL_MS / 2);
    expect(eventTtlMs(1e9)).toBe(LEAST_EVENT_TTL_MS);
  });
});
