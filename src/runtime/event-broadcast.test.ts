import { describe, expect, test } from "bun:test";
import { EventBroadcast } from "./event-broadcast.ts";
import { type ContainerEvent, MAX_PENDING_EVENTS } from "./runtime.ts";

function event(containerId: string): ContainerEvent {
  return { type: "started", containerId, sandboxId: "s", podUid: "u" };
}

describe("EventBroadcast", () => {
  test("EventBroadcast: gives events from the subscription on, until the abort", async () => {
    const broadcast = new EventBroadcast();
    const abort = new AbortController();
    broadcast.publish(event("before"));
    const events = broadcast.subscribe(abort.signal);
    broadcast.publish(event("a"));
    broadcast.publish(event("b"));
    const seen: string[] = [];
    for await (const { containerId } of events) {
      seen.push(containerId);
      if (containerId === "b") abort.abort();
    }
    expect(seen).toEqual(["a", "b"]);
  });

  test("EventBroadcast: tells a consumer that fell behind, after what it kept for it", async () => {
    const broadcast = new EventBroadcast();
    const events = broadcast.subscribe(new AbortController().signal);
    for (let index = 0; index <= MAX_PENDING_EVENTS; index++) broadcast.publish(event("x"));
    let count = 0;
    const read = (async () => {
      for await (const _ of events) count++;
    })();
    expect(await read.catch(String)).toContain("left unread");
    expect(count).toBe(MAX_PENDING_EVENTS);
  });
});
