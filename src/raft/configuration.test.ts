import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { changeConfiguration, isJoint } from "./configuration.ts";
import { configurationOf, member } from "./testing/group.ts";
import type { ConfigStep, Configuration, MemberRole } from "./types.ts";

const NOTHING = new Uint8Array(0);
const random = new SeededRandom(11);
const below = (bound: number): number => randomInteger(random, bound);

function change(current: Configuration, ...steps: ConfigStep[]) {
  return changeConfiguration(current, { steps, context: NOTHING });
}

function changed(current: Configuration, ...steps: ConfigStep[]): Configuration {
  const result = change(current, ...steps);
  if (result.type === "invalid") throw new Error(result.reason);
  return result.configuration;
}

const add = (id: number, role: MemberRole): ConfigStep => ({
  type: "add",
  member: member(id),
  role,
});
const remove = (id: number): ConfigStep => ({ type: "remove", member: member(id) });

function isMajority(voters: readonly number[], set: ReadonlySet<number>): boolean {
  const count = voters.filter((voter) => set.has(voter)).length;
  return voters.length === 0 || count * 2 > voters.length;
}

function isQuorum(configuration: Configuration, set: ReadonlySet<number>): boolean {
  return isMajority(configuration.voters, set) && isMajority(configuration.outgoing, set);
}

/** Whether some quorums of the two have no member in common. */
function canSplit(one: Configuration, other: Configuration): boolean {
  const ids = [...new Set([...one.voters, ...one.outgoing, ...other.voters, ...other.outgoing])];
  for (let bits = 0; bits < 2 ** ids.length; bits++) {
    const set = new Set(ids.filter((_, place) => (bits & (1 << place)) !== 0));
    const rest = new Set(ids.filter((id) => !set.has(id)));
    if (isQuorum(one, set) && isQuorum(other, rest)) return true;
  }
  return false;
}

describe("changeConfiguration", () => {
  test("changeConfiguration: no two consecutive configurations have disjoint quorums", () => {
    for (let round = 0; round < 150; round++) {
      let current = configurationOf([1, 2, 3]);
      for (let step = 0; step < 12; step++) {
        const steps = Array.from({ length: 1 + below(3) }, () =>
          below(3) === 0
            ? remove(1 + below(7))
            : add(1 + below(7), below(3) === 0 ? "learner" : "voter"),
        );
        const result = isJoint(current) ? change(current) : change(current, ...steps);
        if (result.type === "invalid") continue;
        expect(canSplit(current, result.configuration)).toBe(false);
        current = result.configuration;
      }
    }
  });

  test("changeConfiguration: one step takes effect at once, several by a joint phase", () => {
    const three = configurationOf([1, 2, 3]);
    expect(changed(three, remove(3)).voters).toEqual([1, 2].map(member));
    const joint = changed(three, remove(3), add(4, "voter"));
    expect(joint).toEqual({
      voters: [1, 2, 4].map(member),
      outgoing: [1, 2, 3].map(member),
      learners: [],
      learnersNext: [],
      witnesses: [],
      autoLeave: true,
    });
    expect(changed(joint)).toEqual(configurationOf([1, 2, 4]));
    expect(change(joint, remove(4)).type).toBe("invalid");
  });

  test("changeConfiguration: a voter learns only when it decides nothing any more", () => {
    const joint = changed(configurationOf([1, 2, 3]), add(3, "learner"), add(4, "voter"));
    expect(joint.learners).toEqual([]);
    expect(joint.learnersNext).toEqual([member(3)]);
    expect(changed(joint)).toEqual(configurationOf([1, 2, 4], { learners: [3] }));
    const alone = changed(configurationOf([1, 2]), add(2, "learner"));
    expect(alone).toEqual(configurationOf([1], { learners: [2] }));
  });

  test("changeConfiguration: a witness is one as long as it votes", () => {
    const group = configurationOf([1, 2, 3], { witnesses: [3] });
    expect(change(group, add(3, "voter")).type).toBe("invalid");
    expect(change(group, add(3, "learner")).type).toBe("invalid");
    expect(change(group, add(2, "witness")).type).toBe("invalid");
    expect(changed(group, remove(3)).witnesses).toEqual([]);
    const joint = changed(group, remove(3), add(4, "witness"));
    expect(joint.witnesses).toEqual([3, 4].map(member));
    expect(changed(joint).witnesses).toEqual([member(4)]);
  });

  test("changeConfiguration: a group keeps a voter that has the data", () => {
    const group = configurationOf([1, 2], { witnesses: [2] });
    expect(change(group, remove(1)).type).toBe("invalid");
    expect(change(configurationOf([1]), add(1, "learner")).type).toBe("invalid");
  });

  test("changeConfiguration: adding a member again changes no role", () => {
    const group = configurationOf([1, 2], { learners: [3] });
    expect(changed(group, add(1, "voter"))).toEqual(group);
    expect(changed(group, add(3, "learner"))).toEqual(group);
  });

  test("changeConfiguration: refuses what is no member's id, and more members than 64", () => {
    expect(change(configurationOf([1]), add(0, "voter")).type).toBe("invalid");
    expect(change(configurationOf([1]), add(1.5, "voter")).type).toBe("invalid");
    const many = configurationOf(Array.from({ length: 64 }, (_, place) => place + 1));
    expect(change(many, add(65, "learner")).type).toBe("invalid");
  });
});
