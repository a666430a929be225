import { describe, expect, test } from "bun:test";
import { encodeConfigChange } from "./config-codec.ts";
import { createRaft } from "./raft.ts";
import { configurationOf, index, member, term } from "./testing/group.ts";
import type { AppendRequest, LogEntry, RaftCore, RaftOptions, Ready } from "./types.ts";

const NOTHING = new Uint8Array(0);

function open(options: Partial<RaftOptions> = {}): RaftCore {
  return createRaft({
    id: member(1),
    hardState: { term: term(0), vote: 0, commit: index(0) },
    configuration: configurationOf([1]),
    appliedIndex: index(0),
    compactedIndex: index(0),
    compactedTerm: term(0),
    entries: [],
    termAt: () => undefined,
    draw: () => 0,
    ...options,
  });
}

function entry(at: number, ofTerm: number, data = new Uint8Array([at])): LogEntry {
  return { index: index(at), term: term(ofTerm), type: "data", data };
}

/** Takes readies until there is none; config entries are applied. */
function drain(core: RaftCore): Ready[] {
  const readies: Ready[] = [];
  while (core.hasReady()) {
    const ready = core.ready();
    readies.push(ready);
    for (const committed of ready.committed) {
      if (committed.type === "config") core.applyConfig(committed);
    }
    core.advance(ready);
  }
  return readies;
}

function append(previous: number, entries: readonly LogEntry[], commit: number): AppendRequest {
  return {
    type: "append-request",
    from: member(2),
    to: member(1),
    term: term(1),
    previousIndex: index(previous),
    previousTerm: term(previous === 0 ? 0 : 1),
    entries,
    commit: index(commit),
    held: index(0),
  };
}

describe("createRaft", () => {
  test("createRaft: a lone voter leads after one write, and commits its no-op by the next", () => {
    const core = open();
    core.campaign();
    const readies = drain(core);
    expect(readies[0]?.hardState).toEqual({ term: term(1), vote: member(1), commit: index(0) });
    expect(readies.flatMap((ready) => ready.entries)).toEqual([
      { index: index(1), term: term(1), type: "data", data: NOTHING },
    ]);
    expect(core.role).toBe("leader");
    expect(core.status().commit).toBe(index(1));
  });

  test("createRaft: applies a committed change first, and campaigns then", () => {
    const change = { steps: [{ type: "add", member: member(2), role: "voter" }], context: NOTHING };
    const data = encodeConfigChange(change as Parameters<typeof encodeConfigChange>[0]);
    const core = open({
      hardState: { term: term(1), vote: member(1), commit: index(2) },
      appliedIndex: index(1),
      entries: [entry(1, 1), { index: index(2), term: term(1), type: "config", data }],
    });
    core.campaign();
    expect(core.role).toBe("follower");
    const messages = drain(core).flatMap((ready) => ready.messages);
    // Made up for as soon as the change is applied: now 2 has to agree.
    expect(core.role).toBe("pre-candidate");
    expect(messages.map((message) => `${message.type} to ${message.to}`)).toEqual([
      "pre-vote-request to 2",
    ]);
  });

  test("createRaft: one ready is outstanding at most, and only that one is advanced", () => {
    const core = open();
    core.campaign();
    const ready = core.ready();
    expect(core.hasReady()).toBe(false);
    expect(() => core.ready()).toThrow("one ready at a time");
    expect(() => core.advance({ ...ready })).toThrow("advance takes the ready");
    core.advance(ready);
  });

  test("createRaft: config entries have to be applied before the ready is advanced", () => {
    const core = open();
    core.campaign();
    drain(core);
    const added = { type: "add", member: member(2), role: "learner" } as const;
    expect(core.proposeConfig({ steps: [added], context: NOTHING }).type).toBe("accepted");
    const written = core.ready();
    core.advance(written);
    const ready = core.ready();
    expect(ready.committed.map((committed) => committed.type)).toEqual(["config"]);
    expect(() => core.advance(ready)).toThrow("handed out, but not applied");
  });

  test("createRaft: hears of nothing while idle", () => {
    const core = open({ configuration: configurationOf([2, 3], { learners: [1] }) });
    for (let tick = 0; tick < 100; tick++) core.tick();
    expect(core.hasReady()).toBe(false);
    expect(core.early()).toEqual([]);
  });

  test("createRaft: takes no appends while twice its bound waits to be applied", () => {
    const core = open({
      configuration: configurationOf([1, 2, 3]),
      limits: { maxMemoryLogBytes: 1_000 },
    });
    const block = new Uint8Array(500);
    for (let at = 1; at <= 8; at++) core.step(append(at - 1, [entry(at, 1, block)], at));
    expect(core.status().lastIndex).toBe(index(4));
    // What was applied leaves memory, and the leader's repeated appends are taken.
    for (let at = 5; at <= 8; at++) {
      drain(core);
      core.step(append(at - 1, [entry(at, 1, block)], at));
    }
    drain(core);
    expect(core.status().applied).toBe(index(8));
  });

  test("createRaft: a committed entry is handed out only when it is durable here", () => {
    const core = open({ configuration: configurationOf([1, 2, 3]) });
    core.step(append(0, [entry(1, 1)], 1));
    const first = core.ready();
    expect(first.entries).toHaveLength(1);
    expect(first.committed).toEqual([]);
    core.advance(first);
    expect(core.ready().committed).toHaveLength(1);
  });

  test("createRaft: what a slow disk writes while its log is replaced does not count", () => {
    const core = open({ configuration: configurationOf([1, 2, 3]) });
    core.step(append(0, [entry(1, 1), entry(2, 1), entry(3, 1)], 0));
    const slow = core.ready();
    core.step({ ...append(1, [entry(2, 2)], 2), term: term(2) });
    core.advance(slow);
    const next = core.ready();
    expect(next.entries.map((one) => `${one.index}/${one.term}`)).toEqual(["2/2"]);
    expect(next.committed.map((one) => `${one.index}/${one.term}`)).toEqual(["1/1"]);
  });

  test("createRaft: stops when a leader would replace what is committed", () => {
    const core = open({ configuration: configurationOf([1, 2, 3]) });
    core.step(append(0, [entry(1, 1), entry(2, 1)], 2));
    const replacing = { ...append(1, [entry(2, 2)], 1), term: term(2), commit: index(1) };
    // Behind the commit index it is an old message, and answered as such.
    core.step(replacing);
    expect(core.status().lastIndex).toBe(index(2));
    const reaching = { ...append(2, [], 2), term: term(2), from: member(2) };
    core.step(reaching);
    expect(() => core.step({ ...reaching, from: member(3) })).toThrow("term 2 has two leaders");
  });

  test("createRaft: refuses to begin with a log that does not fit its state", () => {
    const hardState = { term: term(1), vote: 0 as const, commit: index(3) };
    expect(() => open({ hardState, entries: [entry(1, 1)] })).toThrow("committed to 3");
    expect(() => open({ appliedIndex: index(2) })).toThrow("applied 2, but the log ends at 0");
    const late = { hardState, entries: [entry(3, 1)] };
    expect(() => open(late)).toThrow("the entries behind 0 are needed");
    const gap = { hardState, entries: [entry(1, 1), entry(3, 1)] };
    expect(() => open(gap)).toThrow("entry 3 follows 1");
    const future = { entries: [entry(1, 5)] };
    expect(() => open(future)).toThrow("the log is of term 5, the member of 0");
  });

  test("createRaft: messages for others, and from itself, are dropped", () => {
    const core = open({ configuration: configurationOf([1, 2, 3]) });
    core.step({ ...append(0, [entry(1, 1)], 1), to: member(9) });
    core.step({ ...append(0, [entry(1, 1)], 1), from: member(1) });
    expect(core.hasReady()).toBe(false);
  });

  test("createRaft: takes over a state that was long on its way, whoever leads meanwhile", () => {
    const configuration = configurationOf([1, 2, 3]);
    const snapshot = { index: index(5), term: term(2), configuration };
    const late = { type: "install-snapshot" as const, from: member(2), to: member(1), snapshot };
    const core = open({ configuration });
    core.step({ ...append(0, [], 0), from: member(3), term: term(4) });
    drain(core);
    core.step({ ...late, term: term(2) });
    expect(core.leader).toBe(member(3));
    const [ready] = drain(core);
    expect(ready?.snapshot).toEqual(snapshot);
    expect(ready?.messages).toEqual([
      {
        type: "append-response",
        from: member(1),
        to: member(2),
        term: term(4),
        index: index(5),
      },
    ]);
    // The same again says nothing new, and makes nobody a leader.
    core.step({ ...late, term: term(4) });
    expect(core.leader).toBe(member(3));
    expect(drain(core).some((one) => one.snapshot !== undefined)).toBe(false);
  });

  test("createRaft: a state of a term that it has not heard of brings the term", () => {
    const configuration = configurationOf([1, 2, 3]);
    const snapshot = { index: index(5), term: term(7), configuration };
    const core = open({ configuration });
    core.step({
      type: "install-snapshot",
      from: member(2),
      to: member(1),
      term: term(0),
      snapshot,
    });
    expect(core.term).toBe(term(7));
    expect(drain(core)[0]?.hardState).toEqual({ term: term(7), vote: 0, commit: index(5) });
  });

  test("createRaft: who leads is not disturbed by an order to campaign", () => {
    const core = open();
    core.campaign();
    drain(core);
    core.step({ type: "timeout-now", from: member(2), to: member(1), term: core.term });
    expect(core.role).toBe("leader");
    expect(core.hasReady()).toBe(false);
  });

  test("createRaft: a candidate that learns of its own removal by a vote is none any more", () => {
    const change = { steps: [{ type: "remove" as const, member: member(1) }], context: NOTHING };
    const data = encodeConfigChange(change);
    const core = open({
      hardState: { term: term(1), vote: 0, commit: index(1) },
      configuration: configurationOf([1, 2, 3]),
      appliedIndex: index(1),
      entries: [entry(1, 1), { index: index(2), term: term(1), type: "config", data }],
    });
    const note = { commit: index(2), commitTerm: term(1), granted: true };
    const to = member(1);
    core.campaign();
    core.step({ type: "pre-vote-response", from: member(2), to, term: term(2), ...note });
    core.step({ type: "pre-vote-response", from: member(3), to, term: term(2), ...note });
    drain(core);
    expect(core.role).toBe("follower");
    core.step({ type: "vote-response", from: member(2), to, term: term(2), ...note });
    core.step({ type: "vote-response", from: member(3), to, term: term(2), ...note });
    expect(core.role).toBe("follower");
    core.campaign();
    expect(core.role).toBe("follower");
  });
});
