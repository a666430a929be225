import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { decodeConfigChange, encodeConfigChange } from "./config-codec.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";
import { configurationOf, index, member, term } from "./testing/group.ts";
import type { ConfigChange, LogEntry, Message } from "./types.ts";
import { RaftWireError } from "./wire.ts";

const random = new SeededRandom(3);
const below = (bound: number): number => randomInteger(random, bound);
/** Small numbers, and those at the edges of what a byte, 32 bits and a double hold. */
const EDGES = [0, 1, 127, 128, 255, 2 ** 31, 2 ** 32, 2 ** 42 + 5, Number.MAX_SAFE_INTEGER - 10];
const someNumber = (): number => (below(2) === 0 ? below(300) : (EDGES[below(EDGES.length)] ?? 0));

function entriesBehind(previous: number): LogEntry[] {
  return Array.from({ length: below(4) }, (_, place) => ({
    index: index(previous + place + 1),
    term: term(someNumber()),
    type: below(3) === 0 ? ("config" as const) : ("data" as const),
    data: random.bytes(below(60)),
  }));
}

function someMessage(): Message {
  const envelope = {
    from: member(someNumber() + 1),
    to: member(someNumber() + 1),
    term: term(someNumber()),
  };
  const previous = someNumber();
  const place = { index: index(someNumber()) };
  const note = { commit: index(someNumber()), commitTerm: term(someNumber()) };
  const vote = { lastIndex: index(someNumber()), lastTerm: term(someNumber()) };
  const transfer = below(2) === 0;
  const granted = below(2) === 0;
  const context = someNumber();
  const commit = index(someNumber());
  const held = index(someNumber());
  const refused = { hintIndex: index(someNumber()), hintTerm: term(someNumber()) };
  const configuration = {
    ...configurationOf([someNumber() + 1, 2], { learners: [3], witnesses: [2] }),
    outgoing: [member(7)],
    autoLeave: below(2) === 0,
  };
  const messages: Message[] = [
    {
      type: "append-request",
      ...envelope,
      previousIndex: index(previous),
      previousTerm: term(someNumber()),
      entries: entriesBehind(previous),
      commit,
      held,
    },
    { type: "append-response", ...envelope, ...place },
    { type: "append-response", ...envelope, ...place, refused },
    { type: "append-response", ...envelope, ...place, refused, lost: true },
    { type: "append-response", ...envelope, ...place, refused, blank: true },
    { type: "heartbeat", ...envelope, commit, context, held },
    { type: "heartbeat-response", ...envelope, context },
    { type: "vote-request", ...envelope, ...vote, ...note, transfer },
    { type: "pre-vote-request", ...envelope, ...vote, ...note, transfer },
    { type: "vote-response", ...envelope, ...note, granted },
    { type: "pre-vote-response", ...envelope, ...note, granted },
    { type: "install-snapshot", ...envelope, snapshot: { ...place, term: term(1), configuration } },
    { type: "timeout-now", ...envelope },
    { type: "read-index-request", ...envelope, context },
    { type: "read-index-response", ...envelope, context, ...place },
  ];
  return messages[below(messages.length)] as Message;
}

/** Whatever the bytes are: a message whose only form they are, or a RaftWireError. */
function expectMessageOrError(bytes: Uint8Array): "message" | "error" {
  let message: Message;
  try {
    message = decodeMessage(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(RaftWireError);
    return "error";
  }
  expect(encodeMessage(message)).toEqual(bytes);
  return "message";
}

describe("encodeMessage", () => {
  test("encodeMessage: every message comes back as it was", () => {
    for (let round = 0; round < 4_000; round++) {
      const message = someMessage();
      expect(decodeMessage(encodeMessage(message))).toEqual(message);
    }
  });

  test("encodeMessage: a heartbeat takes 12 bytes", () => {
    const heartbeat: Message = {
      type: "heartbeat",
      from: member(1),
      to: member(2),
      term: term(3),
      commit: index(70_000),
      context: 0,
      held: index(69_000),
    };
    expect(encodeMessage(heartbeat)).toHaveLength(12);
  });

  test("encodeMessage: refuses entries with a gap", () => {
    const gap = { index: index(9), term: term(1), type: "data" as const, data: new Uint8Array(1) };
    const message: Message = {
      type: "append-request",
      from: member(1),
      to: member(2),
      term: term(1),
      previousIndex: index(3),
      previousTerm: term(1),
      entries: [gap],
      commit: index(0),
      held: index(0),
    };
    expect(() => encodeMessage(message)).toThrow(RaftWireError);
  });
});

describe("decodeMessage", () => {
  test("decodeMessage: every cut, longer or changed message is one too, or a RaftWireError", () => {
    const seen = { message: 0, error: 0 };
    for (let round = 0; round < 1_500; round++) {
      const bytes = encodeMessage(someMessage());
      seen[expectMessageOrError(bytes.subarray(0, below(bytes.length)))]++;
      seen[expectMessageOrError(new Uint8Array([...bytes, below(256)]))]++;
      const changed = Uint8Array.from(bytes);
      changed[below(bytes.length)] = below(256);
      seen[expectMessageOrError(changed)]++;
    }
    expect(seen.message).toBeGreaterThan(100);
    expect(seen.error).toBeGreaterThan(3_000);
  });

  test("decodeMessage: random bytes are a RaftWireError, and cost no memory", () => {
    for (let round = 0; round < 5_000; round++) {
      const bytes = random.bytes(below(40));
      if (bytes.length > 1 && below(2) === 0) bytes.set([1, below(13)]);
      expectMessageOrError(bytes);
    }
    // It claims 2^40 entries.
    const claim = [1, 0, 1, 2, 1, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    expect(() => decodeMessage(new Uint8Array(claim))).toThrow("at most");
  });

  test("decodeMessage: names the version that it cannot read", () => {
    expect(() => decodeMessage(new Uint8Array([9, 0]))).toThrow("a message has version 1, not 9");
  });
});

describe("encodeConfigChange", () => {
  test("encodeConfigChange: every change comes back as it was", () => {
    const change: ConfigChange = {
      steps: [
        { type: "add", member: member(2 ** 52), role: "voter" },
        { type: "add", member: member(2), role: "learner" },
        { type: "add", member: member(3), role: "witness" },
        { type: "remove", member: member(4) },
      ],
      context: new Uint8Array([1, 2, 3]),
    };
    expect(decodeConfigChange(encodeConfigChange(change))).toEqual(change);
  });

  test("encodeConfigChange: has at most 64 steps and 256 KiB of context", () => {
    const step = { type: "remove" as const, member: member(1) };
    const many = { steps: Array.from({ length: 65 }, () => step), context: new Uint8Array(0) };
    expect(() => encodeConfigChange(many)).toThrow(RaftWireError);
    const large = { steps: [], context: new Uint8Array(256 * 1024 + 1) };
    expect(() => encodeConfigChange(large)).toThrow(RaftWireError);
  });

  test("decodeConfigChange: what is no change is a RaftWireError", () => {
    for (let round = 0; round < 3_000; round++) {
      const bytes = random.bytes(below(20));
      if (bytes.length > 0 && below(2) === 0) bytes[0] = 1;
      try {
        expect(encodeConfigChange(decodeConfigChange(bytes))).toEqual(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RaftWireError);
      }
    }
  });
});
