import { describe, expect, test } from "bun:test";
import type { LogIndex } from "../raft/index.ts";
import { LogRetention } from "./log-retention.ts";

const entry = (index: number): LogIndex => index as LogIndex;

describe("LogRetention", () => {
  test("LogRetention: keeps as many entries as it is told, a step more at most", () => {
    const limits = { maxEntries: 640, maxBytes: 1_000_000 };
    const retention = new LogRetention(entry(100), limits);
    expect(retention.droppable()).toBe(entry(0));
    for (let index = 101; index <= 2_000; index++) retention.note(entry(index), 10);
    expect(retention.droppable()).toBeLessThanOrEqual(2_000 - 640);
    expect(retention.droppable()).toBeGreaterThan(2_000 - 640 - 20);
  });

  test("LogRetention: keeps as many bytes as it is told, a step more at most", () => {
    const limits = { maxEntries: 1_000_000, maxBytes: 64_000 };
    const retention = new LogRetention(entry(0), limits);
    for (let index = 1; index <= 1_000; index++) retention.note(entry(index), 1_000);
    expect(retention.droppable()).toBeLessThanOrEqual(1_000 - 64);
    expect(retention.droppable()).toBeGreaterThan(1_000 - 64 - 3);
  });
});
