import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { jointVote, majorityValue, majorityVote } from "./quorum.ts";
import type { VoteOutcome } from "./quorum.ts";
import type { MemberId } from "./types.ts";

const random = new SeededRandom(7);
const below = (bound: number): number => randomInteger(random, bound);

/** All sets of more than half of these. */
function majoritiesOf<Item>(items: readonly Item[]): Item[][] {
  const sets = Array.from({ length: 2 ** items.length }, (_, bits) =>
    items.filter((_item, place) => (bits & (1 << place)) !== 0),
  );
  return sets.filter((set) => set.length * 2 > items.length);
}

/** What the definition says: some majority granted, or none can any more. */
function outcomeByDefinition(
  voters: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteOutcome {
  if (voters.length === 0) return "won";
  const majorities = majoritiesOf(voters);
  const all = (check: (vote: boolean | undefined) => boolean): boolean =>
    majorities.some((majority) => majority.every((voter) => check(votes.get(voter))));
  if (all((vote) => vote === true)) return "won";
  return all((vote) => vote !== false) ? "pending" : "lost";
}

function randomVotes(voters: readonly MemberId[]): Map<MemberId, boolean> {
  const votes = new Map<MemberId, boolean>();
  for (const voter of voters) {
    const said = below(3);
    if (said > 0) votes.set(voter, said === 1);
  }
  return votes;
}

const someMembers = (): MemberId[] =>
  Array.from({ length: 9 }, (_, place) => (place + 1) as MemberId).filter(() => below(3) > 0);

describe("majorityValue", () => {
  test("majorityValue: is the largest value that all of some majority have reached", () => {
    for (let round = 0; round < 3_000; round++) {
      const values = Array.from({ length: 1 + below(7) }, () => below(10));
      const reached = majoritiesOf(values).map((majority) => Math.min(...majority));
      const expected = Math.max(...reached);
      expect(majorityValue([...values])).toBe(expected);
    }
  });

  test("majorityValue: does not limit where nobody is asked", () => {
    expect(majorityValue([])).toBe(Infinity);
  });
});

describe("majorityVote", () => {
  test("majorityVote: agrees with the definition for every number of voters up to 9", () => {
    for (let round = 0; round < 2_000; round++) {
      const voters = someMembers();
      const votes = randomVotes(voters);
      expect(majorityVote(voters, votes)).toBe(outcomeByDefinition(voters, votes));
    }
  });
});

describe("jointVote", () => {
  test("jointVote: is won by both majorities and lost by either", () => {
    for (let round = 0; round < 2_000; round++) {
      const [voters, outgoing] = [someMembers(), someMembers()];
      const votes = randomVotes([...new Set([...voters, ...outgoing])]);
      const halves = [outcomeByDefinition(voters, votes), outcomeByDefinition(outgoing, votes)];
      const both = halves.every((half) => half === "won") ? "won" : "pending";
      expect(jointVote(voters, outgoing, votes)).toBe(halves.includes("lost") ? "lost" : both);
    }
  });
});
