import { describe, expect, test } from "bun:test";
import type { Pod, PodStatus } from "../api/index.ts";
import { createClient } from "../client/index.ts";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import { statusPatch, StatusWriter } from "./status-writer.ts";

const POD: Pod = {
  metadata: { name: "web", namespace: "default", uid: "u", resourceVersion: "5" },
};

/** A server that keeps the patches it got, and answers each when told. */
function setUp() {
  const patches: Record<string, unknown>[] = [];
  const answers: ((code: number) => void)[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    const { status } = (await request.json()) as { status: Record<string, unknown> };
    patches.push(status);
    const code = await new Promise<number>((resolve) => answers.push(resolve));
    const metadata = { ...POD.metadata, resourceVersion: `${5 + patches.length}` };
    const body = code === 200 ? { metadata, status } : { kind: "Status", code };
    return new Response(JSON.stringify(body), { status: code });
  };
  const clock = new ManualClock();
  const client = createClient({ fetch, userAgent: "test" });
  const writer = new StatusWriter({ client, clock, logger: silentLogger });
  const answer = async (code = 200): Promise<void> => {
    answers.shift()?.(code);
    await drainMicrotasks();
  };
  return { writer, patches, clock, answer, answers };
}

function ready(status: string, reason?: string): PodStatus {
  const condition = { type: "Ready", status, ...(reason === undefined ? {} : { reason }) };
  return { phase: "Running", conditions: [condition] };
}

describe("StatusWriter", () => {
  test("StatusWriter: one patch at a time, and only the latest follows", async () => {
    const { writer, patches, answer } = setUp();
    writer.set(POD, { phase: "Pending" });
    await drainMicrotasks();
    writer.set(POD, { phase: "Running" });
    writer.set(POD, { phase: "Failed" });
    await drainMicrotasks();
    expect(patches).toEqual([{ phase: "Pending" }]);
    expect(writer.current(POD).phase).toBe("Failed");
    await answer();
    expect(patches).toEqual([{ phase: "Pending" }, { phase: "Failed" }]);
    await answer();
    expect(patches).toHaveLength(2);
  });

  test("StatusWriter: a status in the very moment in which it comes to rest is sent", async () => {
    for (let turns = 0; turns < 100; turns++) {
      const { writer, patches, answers } = setUp();
      writer.set(POD, { phase: "Pending" });
      await drainMicrotasks();
      answers.shift()?.(200);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      writer.set(POD, { phase: "Running" });
      await drainMicrotasks();
      expect([turns, patches]).toEqual([turns, [{ phase: "Pending" }, { phase: "Running" }]]);
    }
  });

  test("StatusWriter: says nothing when nothing changed", async () => {
    const { writer, patches, answer } = setUp();
    writer.set(POD, ready("True"));
    await drainMicrotasks();
    await answer();
    writer.set(POD, ready("True"));
    await drainMicrotasks();
    expect(patches).toHaveLength(1);
  });

  test("StatusWriter: a delayed status is overtaken by one that is not", async () => {
    const { writer, patches, clock } = setUp();
    writer.set(POD, { phase: "Pending" }, { delayMs: 100 });
    clock.advance(99);
    await drainMicrotasks();
    expect(patches).toEqual([]);
    writer.set(POD, { phase: "Running" });
    await drainMicrotasks();
    expect(patches).toEqual([{ phase: "Running" }]);
    expect(clock.pending).toBe(0);
  });

  test("StatusWriter: repeats what failed, and gives up on a pod that is gone", async () => {
    const { writer, patches, clock, answer } = setUp();
    writer.set(POD, { phase: "Running" });
    await drainMicrotasks();
    await answer(500);
    expect(patches).toHaveLength(1);
    await clock.advanceAsync(200);
    expect(patches).toHaveLength(2);
    await answer(404);
    await clock.advanceAsync(60_000, 1000);
    expect(patches).toHaveLength(2);
  });

  test("StatusWriter: a status the server does not keep as sent is not sent for ever", async () => {
    const { writer, patches } = setUp();
    const fetch = async (request: Request): Promise<Response> => {
      patches.push((await request.json()) as Record<string, unknown>);
      return Response.json({ metadata: { resourceVersion: "9" }, status: {} });
    };
    const client = createClient({ fetch, userAgent: "test" });
    const lossy = new StatusWriter({ client, clock: new ManualClock(), logger: silentLogger });
    lossy.set(POD, { phase: "Running" });
    await lossy.flushed("u");
    lossy.set(POD, { phase: "Running" });
    await lossy.flushed("u");
    expect(patches).toHaveLength(1);
    writer.forget("u");
  });

  test("StatusWriter: nothing is sent after close", async () => {
    const { writer, patches } = setUp();
    await writer.close();
    writer.set(POD, { phase: "Running" });
    await drainMicrotasks();
    expect(patches).toEqual([]);
  });
});

describe("statusPatch", () => {
  test("statusPatch: names changed fields and conditions, and takes out old reasons", () => {
    expect(statusPatch(ready("True"), ready("True"))).toBeUndefined();
    expect(statusPatch(ready("False", "Why"), ready("True"))).toEqual({
      conditions: [{ type: "Ready", status: "True", reason: null, message: null }],
    });
    expect(statusPatch({ podIP: "1" }, { podIP: "2" })).toEqual({ podIP: "2" });
  });
});
