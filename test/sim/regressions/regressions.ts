/** Seeds that once broke a rule, by what was wrong. They run before any others. */
export interface Regression {
  readonly kind: "core" | "cluster";
  readonly seed: number;
  readonly why: string;
}

export const REGRESSIONS: readonly Regression[] = [
  {
    kind: "core",
    seed: 1218,
    why: "a candidate that was made a learner meanwhile won, and its process ended",
  },
  { kind: "core", seed: 845, why: "the same" },
  { kind: "core", seed: 3065, why: "the same" },
  {
    kind: "core",
    seed: 1136602,
    why: "a leader left a group of witnesses and a member that lacked what only those who left had",
  },
  {
    kind: "cluster",
    seed: 45,
    why: "a leader with a slow disk refused an update of what its followers already served",
  },
];
