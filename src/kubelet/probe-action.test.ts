import { afterAll, describe, expect, test } from "bun:test";
import type { Clock } from "../lib/index.ts";
import { LATE_MS, runProbe } from "./probe-action.ts";

describe("runProbe", () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  afterAll(() => silent.stop(true));

  /** A probe of a server that never answers, whose timer fires when the clock shows this. */
  function timedOutAt(nowMs: number) {
    let shownMs = 0;
    const clock: Clock = {
      now: () => shownMs,
      monotonic: () => shownMs,
      after: (_, callback) => {
        shownMs = nowMs;
        queueMicrotask(callback);
        return () => undefined;
      },
    };
    const target = { podIp: "127.0.0.1", container: { name: "app" }, endpoint: () => undefined };
    return runProbe({ httpGet: { port: silent.port } }, target, { clock, timeoutMs: 1000 });
  }

  test("runProbe: no answer in time is a failure", async () => {
    expect(await timedOutAt(1000)).toMatchObject({ success: false });
    expect(await timedOutAt(1000 + LATE_MS)).toMatchObject({ success: false });
  });

  test("runProbe: a timeout that is noticed late says nothing about the container", async () => {
    expect(await timedOutAt(1001 + LATE_MS)).toEqual({ success: "unknown" });
  });
});
