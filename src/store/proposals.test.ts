import { describe, expect, test } from "bun:test";
import type { Command, CommandResult } from "../mvcc/index.ts";
import type { LogIndex, Term } from "../raft/index.ts";
import { DECISION_MS, Proposals } from "./proposals.ts";
import type { Batch } from "./proposals.ts";
import { refusal } from "./testing/refusal.ts";

const command: Command = { type: "create", key: "/a", value: new Uint8Array(10) };
const done: readonly CommandResult[] = [{ type: "done" }];
const code = (name: string) => expect.objectContaining({ code: name });
const at = (index: number, term: number, nowMs = 0) => ({
  index: index as LogIndex,
  term: term as Term,
  nowMs,
});

function take(proposals: Proposals, term = 1): Batch {
  const batch = proposals.take(term as Term, 0);
  if (batch === undefined) throw new Error("nothing waits");
  return batch;
}

describe("Proposals", () => {
  test("Proposals: an index that another term took says that nothing was written", async () => {
    const proposals = new Proposals();
    const lost = refusal(proposals.add(command, 0));
    proposals.proposed(take(proposals), at(5, 1));
    proposals.applied(at(5, 2), done);
    expect(await lost).toEqual(code("not-leader"));
    expect(proposals.undecided).toBe(0);
  });

  test("Proposals: two terms at one index are both decided by what is applied there", async () => {
    const proposals = new Proposals();
    const first = refusal(proposals.add(command, 0));
    proposals.proposed(take(proposals), at(5, 1));
    const second = proposals.add(command, 0);
    proposals.proposed(take(proposals, 3), at(5, 3));
    proposals.applied(at(5, 3), done);
    expect(await second).toEqual({ type: "done" });
    expect(await first).toEqual(code("not-leader"));
    const third = proposals.add(command, 0);
    proposals.proposed(take(proposals), at(6, 3));
    const fourth = refusal(proposals.add(command, 0));
    proposals.proposed(take(proposals), at(6, 5));
    // A member that still had the older one brought it back.
    proposals.applied(at(6, 3), done);
    expect(await third).toEqual({ type: "done" });
    expect(await fourth).toEqual(code("not-leader"));
  });

  test("Proposals: what stays undecided is unavailable after ten seconds, not before", async () => {
    const proposals = new Proposals();
    const settled: string[] = [];
    const undecided = refusal(proposals.add(command, 0)).finally(() => settled.push("old"));
    proposals.proposed(take(proposals), at(5, 1, 0));
    const younger = proposals.add(command, 0);
    proposals.proposed(take(proposals), at(6, 1, 1));
    proposals.expire(DECISION_MS - 1);
    await Promise.resolve();
    expect(settled).toEqual([]);
    proposals.expire(DECISION_MS);
    expect(await undecided).toEqual(code("unavailable"));
    proposals.applied(at(6, 1), done);
    expect(await younger).toEqual({ type: "done" });
  });

  test("Proposals: a fence of another term refuses before anything is proposed", async () => {
    const proposals = new Proposals();
    const late = refusal(proposals.add(command, 1 as Term));
    const current = proposals.add(command, 2 as Term);
    const batch = take(proposals, 2);
    expect(batch.proposals.length).toBe(1);
    expect(await late).toEqual(code("not-leader"));
    proposals.proposed(batch, at(1, 2));
    proposals.applied(at(1, 2), done);
    expect(await current).toEqual({ type: "done" });
    const only = refusal(proposals.add(command, 1 as Term));
    expect(proposals.take(2 as Term, 0)).toBeUndefined();
    expect(await only).toEqual(code("not-leader"));
  });

  test("Proposals: a batch that the core had no room for comes first again", async () => {
    const proposals = new Proposals();
    void refusal(proposals.add(command, 0));
    const held = take(proposals);
    proposals.hold(held);
    void refusal(proposals.add({ ...command, key: "/b" }, 0));
    expect(proposals.waiting).toBe(true);
    expect(take(proposals)).toBe(held);
    expect(take(proposals)).not.toBe(held);
    expect(proposals.waiting).toBe(false);
  });

  test("Proposals: entries that a snapshot stands for are unavailable", async () => {
    const proposals = new Proposals();
    const skipped = refusal(proposals.add(command, 0));
    proposals.proposed(take(proposals), at(5, 1));
    proposals.skipped(9 as LogIndex);
    expect(await skipped).toEqual(code("unavailable"));
  });
});
