import type { MemberId } from "./types.ts";

export type VoteOutcome = "won" | "lost" | "pending";

/**
 * The largest value that a majority has reached; sorts what it is given. Nobody limits nothing:
 * an empty half of a joint configuration answers Infinity.
 *
 * Of [7, 3, 5] two have reached 5, of [7, 3, 5, 4] three have reached 4.
 */
export function majorityValue(values: number[]): number {
  const count = values.length;
  if (count === 0) return Infinity;
  sortAscending(values);
  const majority = (count >> 1) + 1;
  return values[count - majority] as number;
}

/** Insertion sort: groups are small, and nothing is allocated. */
function sortAscending(values: number[]): void {
  for (let place = 1; place < values.length; place++) {
    const value = values[place] as number;
    let hole = place;
    while (hole > 0 && (values[hole - 1] as number) > value) {
      values[hole] = values[hole - 1] as number;
      hole--;
    }
    values[hole] = value;
  }
}

/** What a majority of these members said so far; nobody always says yes. */
export function majorityVote(
  voters: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteOutcome {
  if (voters.length === 0) return "won";
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted++;
    else if (vote === false) refused++;
  }
  const majority = (voters.length >> 1) + 1;
  if (granted >= majority) return "won";
  return voters.length - refused >= majority ? "pending" : "lost";
}

/** Both majorities have to agree while a configuration is joint (dissertation, section 4.3). */
export function jointVote(
  voters: readonly MemberId[],
  outgoing: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteOutcome {
  const first = majorityVote(voters, votes);
  const second = majorityVote(outgoing, votes);
  if (first === "lost" || second === "lost") return "lost";
  return first === "won" && second === "won" ? "won" : "pending";
}
