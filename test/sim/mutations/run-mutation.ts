import { CoreSimulation } from "../core/core-simulation.ts";
import { patchRaft } from "./patched-raft.ts";
import type { Mutation } from "./patched-raft.ts";

/** A mutation that lives through so many seeds was not caught. */
export const MAX_MUTATION_SEEDS = 20_000;

export interface MutationOutcome {
  readonly name: string;
  /** Undefined when no checker caught it. */
  readonly caught?: { readonly seeds: number; readonly checker: string; readonly message: string };
}

/** Runs seeds from 1 on until a checker notices the bug. */
export async function runMutation(mutation: Mutation): Promise<MutationOutcome> {
  const patched = await patchRaft(mutation);
  try {
    const simulation = new CoreSimulation(patched.createRaft);
    for (let seed = 1; seed <= MAX_MUTATION_SEEDS; seed++) {
      const { violation } = simulation.run(seed);
      if (violation === undefined) continue;
      const { checker, message } = violation;
      return { name: mutation.name, caught: { seeds: seed, checker, message } };
    }
    return { name: mutation.name };
  } finally {
    patched.remove();
  }
}
