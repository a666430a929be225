import { describe, expect, test } from "bun:test";
import { SeededRandom } from "../../src/lib/index.ts";
import { checkLinearizable } from "./linearizability.ts";
import type { Operation } from "./linearizability.ts";
import { ABSENT, OBJECT_MODEL } from "./object-model.ts";
import type { ObjectCall, Value } from "./object-model.ts";

function operation(start: number, end: number, call: ObjectCall): Operation<ObjectCall> {
  return { start, end, call };
}

function verdict(...history: Operation<ObjectCall>[]): string {
  return checkLinearizable(history, OBJECT_MODEL).type;
}

const create = (value: Value, answer: "done" | "exists" | "unknown" = "done"): ObjectCall => ({
  verb: "create",
  value,
  answer,
});
const get = (answer: Value): ObjectCall => ({ verb: "get", answer });
const update = (
  expected: Value,
  value: Value,
  answer: "done" | "conflict" | "missing" | "unknown" = "done",
): ObjectCall => ({ verb: "update", expected, value, answer });

/** A history that did happen: calls take effect at a moment within their time. */
function realHistory(seed: number): Operation<ObjectCall>[] {
  const random = new SeededRandom(seed);
  const moments = Array.from({ length: 40 }, (_, at) => at * 10);
  let state: Value = ABSENT;
  let seen: Value = ABSENT;
  return moments.map((moment, at) => {
    const value = at + 1;
    const dice = random.float();
    let call: ObjectCall;
    if (dice < 0.3) {
      call = create(value, state === ABSENT ? "done" : "exists");
      if (state === ABSENT) state = value;
    } else if (dice < 0.5 && seen !== ABSENT) {
      const answer = state === ABSENT ? "missing" : state === seen ? "done" : "conflict";
      call = update(seen, value, answer);
      if (answer === "done") state = value;
    } else if (dice < 0.6) {
      call = { verb: "delete", expected: undefined, answer: state === ABSENT ? "missing" : "done" };
      state = ABSENT;
    } else {
      call = get(state);
      seen = state;
    }
    const lost = random.float() < 0.1 && call.verb !== "get";
    if (lost) call = { ...call, answer: "unknown" } as ObjectCall;
    const end = lost ? Infinity : moment + random.float() * 60;
    return operation(moment - random.float() * 60, end, call);
  });
}

describe("checkLinearizable", () => {
  test("checkLinearizable: accepts calls one after the other", () => {
    expect(
      verdict(
        operation(0, 1, create(1)),
        operation(2, 3, get(1)),
        operation(4, 5, update(1, 2)),
        operation(6, 7, get(2)),
      ),
    ).toBe("linearizable");
  });

  test("checkLinearizable: refuses a read that is older than an answered write", () => {
    const history = [
      operation(0, 1, create(1)),
      operation(2, 3, update(1, 2)),
      operation(4, 5, get(1)),
    ];
    const result = checkLinearizable(history, OBJECT_MODEL);
    expect(result.type).toBe("violation");
    expect(result.type === "violation" && result.stuck).toEqual([operation(4, 5, get(1))]);
  });

  test("checkLinearizable: lets a read during a write see either value", () => {
    const write = operation(2, 6, update(1, 2));
    expect(verdict(operation(0, 1, create(1)), write, operation(3, 4, get(1)))).toBe(
      "linearizable",
    );
    expect(verdict(operation(0, 1, create(1)), write, operation(3, 4, get(2)))).toBe(
      "linearizable",
    );
  });

  test("checkLinearizable: refuses reads that go back during a write", () => {
    expect(
      verdict(
        operation(0, 1, create(1)),
        operation(2, 9, update(1, 2)),
        operation(3, 4, get(2)),
        operation(5, 6, get(1)),
      ),
    ).toBe("violation");
  });

  test("checkLinearizable: a write without an answer may happen late, or never", () => {
    const lost = operation(2, Infinity, update(1, 2, "unknown"));
    const created = operation(0, 1, create(1));
    expect(verdict(created, lost, operation(10, 11, get(1)))).toBe("linearizable");
    expect(verdict(created, lost, operation(10, 11, get(1)), operation(20, 21, get(2)))).toBe(
      "linearizable",
    );
    expect(verdict(created, lost, operation(10, 11, get(2)), operation(20, 21, get(1)))).toBe(
      "violation",
    );
  });

  test("checkLinearizable: refuses a lost acknowledged write and a write done twice", () => {
    expect(verdict(operation(0, 1, create(1)), operation(2, 3, get(ABSENT)))).toBe("violation");
    expect(
      verdict(
        operation(0, 1, create(1)),
        operation(2, 3, update(1, 2)),
        operation(4, 5, update(1, 3)),
      ),
    ).toBe("violation");
    expect(verdict(operation(0, 1, create(1)), operation(2, 3, create(2)))).toBe("violation");
  });

  test("checkLinearizable: refuses a conflict and an absence that could not be", () => {
    expect(verdict(operation(0, 1, create(1)), operation(2, 3, update(1, 2, "conflict")))).toBe(
      "violation",
    );
    expect(verdict(operation(0, 1, create(1)), operation(2, 3, update(1, 2, "missing")))).toBe(
      "violation",
    );
    expect(verdict(operation(0, 1, create(1, "exists")))).toBe("violation");
  });

  test("checkLinearizable: accepts histories that did happen, and no altered ones", () => {
    let altered = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const history = realHistory(seed);
      expect(checkLinearizable(history, OBJECT_MODEL).type).toBe("linearizable");
      const reads = history.filter(({ call }) => call.verb === "get");
      const read = reads[seed % Math.max(1, reads.length)];
      if (read === undefined) continue;
      // A value that no write of the history wrote.
      const broken = history.map((each) => (each === read ? { ...each, call: get(999) } : each));
      expect(checkLinearizable(broken, OBJECT_MODEL).type).toBe("violation");
      altered += 1;
    }
    expect(altered).toBeGreaterThan(250);
  });

  test("checkLinearizable: many concurrent operations are decided quickly", () => {
    const history = Array.from({ length: 12 }, (_, at) =>
      operation(at, 1_000, create(at + 1, at === 11 ? "done" : "exists")),
    );
    expect(verdict(...history, operation(2_000, 2_001, get(12)))).toBe("linearizable");
    expect(verdict(...history, operation(2_000, 2_001, get(3)))).toBe("violation");
  });
});
