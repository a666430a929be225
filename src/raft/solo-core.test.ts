import { describe, expect, test } from "bun:test";
import { createSoloCore } from "./solo-core.ts";
import type { LogIndex, Term } from "./types.ts";

const data = new Uint8Array([1]);
const open = (lastIndex = 0) =>
  createSoloCore({ lastIndex: lastIndex as LogIndex, term: 1 as Term });

describe("createSoloCore", () => {
  test("createSoloCore: commits an entry only after the ready that persisted it", () => {
    const core = open(7);
    expect(core.hasReady()).toBe(false);
    expect(core.propose(data)).toEqual({ type: "accepted", index: 8 as LogIndex });
    const first = core.ready();
    expect(first.entries.map((entry) => entry.index)).toEqual([8 as LogIndex]);
    expect(first.committed).toEqual([]);
    expect(core.hasReady()).toBe(false);
    core.advance(first);
    const second = core.ready();
    expect(second.entries).toEqual([]);
    expect(second.committed).toEqual(first.entries);
    core.advance(second);
    expect(core.hasReady()).toBe(false);
  });

  test("createSoloCore: hands out the next entries together with the committed ones", () => {
    const core = open();
    core.propose(data);
    const first = core.ready();
    core.propose(data);
    core.advance(first);
    const second = core.ready();
    expect(second.entries.map((entry) => entry.index)).toEqual([2 as LogIndex]);
    expect(second.committed.map((entry) => entry.index)).toEqual([1 as LogIndex]);
  });

  test("createSoloCore: answers a read with the commit index of its moment", () => {
    const core = open(3);
    core.propose(data);
    expect(core.readIndex(1)).toEqual({ context: 1, index: 3 as LogIndex });
    core.advance(core.ready());
    expect(core.readIndex(2)).toEqual({ context: 2, index: 4 as LogIndex });
  });

  test("createSoloCore: refuses a second ready before the first is done", () => {
    const core = open();
    core.propose(data);
    core.ready();
    expect(() => core.ready()).toThrow("one ready at a time");
  });
});
