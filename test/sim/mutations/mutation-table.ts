import type { Mutation } from "./patched-raft.ts";

/** Each breaks one rule of the algorithm. The simulation has to notice every one of them. */
export const MUTATIONS: readonly Mutation[] = [];
