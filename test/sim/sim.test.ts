import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createRaft } from "../../src/raft/index.ts";
import { ClusterSimulation } from "./cluster/cluster-simulation.ts";
import { CoreSimulation } from "./core/core-simulation.ts";
import { currentCommit } from "./current-commit.ts";
import { patchRaft } from "./mutations/patched-raft.ts";
import { MUTATIONS } from "./mutations/mutation-table.ts";
import { runMutation } from "./mutations/run-mutation.ts";
import type { Simulation } from "./outcome.ts";
import { REGRESSIONS } from "./regressions/regressions.ts";
import { describeFailure, runSeeds } from "./run-seeds.ts";

/** How long new seeds are explored, in seconds of real time: two minutes in CI. */
const EXPLORE_SECONDS = Number(process.env["KUBUN_SIM_SECONDS"] ?? (process.env["CI"] ? 120 : 6));
/** The core is a hundred times faster, and gets a third of the time. */
const CORE_SHARE = 1 / 3;
/** Mutations that live through more seeds are left to `bun run sim --mutations`. */
const MUTATION_SEEDS = EXPLORE_SECONDS >= 60 ? 2_000 : 20;
const PATIENCE_MS = 120_000;
const MUTATIONS_MS = 300_000;
const SEED_SPACE = 0x1_0000_0000;

const commit = currentCommit();
/** Every commit explores seeds of its own, and the same ones each time. */
const firstSeed = Bun.hash.crc32(commit.replace("+", "")) % SEED_SPACE;

function simulationOf(kind: "core" | "cluster"): Simulation {
  return kind === "core" ? new CoreSimulation(createRaft) : new ClusterSimulation();
}

/**
 * Whole servers are explored by a process of their own, from the beginning: meanwhile the core and
 * its mutations take the other processor.
 */
let exploring: Bun.Subprocess<"ignore", "pipe", "inherit">;

beforeAll(() => {
  const seconds = Math.ceil(EXPLORE_SECONDS * (1 - CORE_SHARE));
  const range = ["--seed", String(firstSeed), "--seconds", String(seconds)];
  exploring = Bun.spawn(
    [process.execPath, join(import.meta.dir, "run.ts"), "--cluster", ...range],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
});

afterAll(() => exploring.kill("SIGKILL"));

describe.each(["core", "cluster"] as const)("the simulation of the %s", (kind) => {
  test(
    `${kind}: a seed replays exactly, whatever ran before it`,
    async () => {
      const first = await simulationOf(kind).run(7);
      const other = simulationOf(kind);
      await other.run(8);
      const again = await other.run(7, { recording: 1 });
      expect(again.traceHash).toBe(first.traceHash);
      expect((await other.run(9)).traceHash).not.toBe(first.traceHash);
    },
    PATIENCE_MS,
  );

  test(
    `${kind}: seeds that once failed do not fail`,
    async () => {
      const simulation = simulationOf(kind);
      for (const { seed } of REGRESSIONS.filter((regression) => regression.kind === kind)) {
        const { violation } = await simulation.run(seed);
        expect(violation, `seed ${seed}`).toBeUndefined();
      }
    },
    PATIENCE_MS,
  );
});

describe("new seeds", () => {
  test(
    "core: new seeds keep every rule",
    async () => {
      const milliseconds = EXPLORE_SECONDS * 1_000 * CORE_SHARE;
      const range = { first: firstSeed, count: Infinity, milliseconds };
      const { done, failure } = await runSeeds(simulationOf("core"), range);
      console.log(`core: ${done} seeds from ${firstSeed}, commit ${commit}`);
      if (failure !== undefined)
        throw new Error(describeFailure(failure, { kind: "core", commit }));
      expect(done).toBeGreaterThan(0);
    },
    EXPLORE_SECONDS * 1_000 + PATIENCE_MS,
  );
});

describe("mutations of the core", () => {
  test("mutations: each fits the core as it is", async () => {
    for (const mutation of MUTATIONS) (await patchRaft(mutation)).remove();
    expect(MUTATIONS.length).toBeGreaterThanOrEqual(10);
  });

  test(
    "mutations: each is caught",
    async () => {
      const missed: string[] = [];
      for (const mutation of MUTATIONS) {
        if (mutation.seeds > MUTATION_SEEDS) continue;
        const { name, caught } = await runMutation(mutation);
        if (caught === undefined) missed.push(name);
      }
      expect(missed).toEqual([]);
    },
    MUTATIONS_MS,
  );
});

describe("new seeds of whole servers", () => {
  test(
    "cluster: new seeds keep every rule",
    async () => {
      const told = await new Response(exploring.stdout).text();
      if ((await exploring.exited) !== 0) throw new Error(told);
      console.log(told.trim().split("\n").at(-1));
      expect(told).toMatch(/^[1-9]\d* seeds from \d+, .* no violation/m);
    },
    EXPLORE_SECONDS * 1_000 + PATIENCE_MS,
  );
});
