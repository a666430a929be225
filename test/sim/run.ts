import { parseArgs } from "node:util";
import { createRaft } from "../../src/raft/index.ts";
import { CoreSimulation } from "./core/core-simulation.ts";
import { SHOWN_EVENTS } from "./core/trace.ts";
import { currentCommit } from "./current-commit.ts";
import { MUTATIONS } from "./mutations/mutation-table.ts";
import { runMutation } from "./mutations/run-mutation.ts";
import type { Simulation } from "./outcome.ts";
import { describeFailure, runSeeds } from "./run-seeds.ts";

const USAGE = `Usage: bun run sim [--core | --cluster | --mutations] [options]
  --core         the consensus core alone (default)
  --cluster      whole servers: raft, store, state machine and API
  --mutations    deliberate bugs of the core: each has to be caught
  --seed N       the first seed (default 1); alone it shows the seed's last events
  --seeds COUNT  how many seeds from there
  --minutes M    as many seeds as fit in this time
  --seconds S    the same, in seconds
  --events N     how many of the last events a single seed shows (default 120)
`;

const options = {
  core: { type: "boolean" },
  cluster: { type: "boolean" },
  mutations: { type: "boolean" },
  seed: { type: "string" },
  seeds: { type: "string" },
  minutes: { type: "string" },
  seconds: { type: "string" },
  events: { type: "string" },
  help: { type: "boolean" },
} as const;

/** Ends with 0 when all seeds kept the rules, 1 when one broke them, 2 on wrong usage. */
async function main(): Promise<number> {
  const { values } = parseArgs({ options });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.mutations === true) return await runMutations();
  const kind = values.cluster === true ? "cluster" : "core";
  const simulation = await simulationOf(kind);
  const first = wholeNumber("seed", values.seed ?? "1");
  const { seeds, minutes, seconds } = values;
  const bounded = seeds !== undefined || minutes !== undefined || seconds !== undefined;
  if (values.seed !== undefined && !bounded) {
    const events = wholeNumber("events", values.events ?? String(SHOWN_EVENTS));
    return await showSeed(simulation, kind, { seed: first, events });
  }
  return await runRange(simulation, kind, {
    first,
    count: seeds === undefined ? Infinity : wholeNumber("seeds", seeds),
    milliseconds: Math.min(
      minutes === undefined ? Infinity : wholeNumber("minutes", minutes) * 60_000,
      seconds === undefined ? Infinity : wholeNumber("seconds", seconds) * 1_000,
    ),
  });
}

async function simulationOf(kind: "core" | "cluster"): Promise<Simulation> {
  if (kind === "core") return new CoreSimulation(createRaft);
  const { ClusterSimulation } = await import("./cluster/cluster-simulation.ts");
  return new ClusterSimulation();
}

async function showSeed(
  simulation: Simulation,
  kind: "core" | "cluster",
  { seed, events }: { readonly seed: number; readonly events: number },
): Promise<number> {
  const outcome = await simulation.run(seed, { recording: events });
  console.log(describeFailure(outcome, { kind, commit: currentCommit() }));
  console.log(`trace ${(outcome.traceHash >>> 0).toString(16)}`);
  return outcome.violation === undefined ? 0 : 1;
}

async function runRange(
  simulation: Simulation,
  kind: "core" | "cluster",
  range: { readonly first: number; readonly count: number; readonly milliseconds: number },
): Promise<number> {
  const commit = currentCommit();
  console.log(`${kind}: seeds from ${range.first}, commit ${commit}`);
  const { done, elapsedMs, failure } = await runSeeds(simulation, {
    ...range,
    onProgress: (seeds, ms) =>
      console.log(
        `${seeds} seeds in ${(ms / 1_000).toFixed(0)} s, ${(ms / seeds).toFixed(2)} ms each`,
      ),
  });
  if (failure !== undefined) {
    console.log(describeFailure(failure, { kind, commit }));
    return 1;
  }
  const { statistics } = simulation;
  console.log(statistics.lines().join("\n"));
  const hours = statistics.virtualSeconds / 3_600;
  const each = (elapsedMs / Math.max(1, done)).toFixed(2);
  console.log(
    `${done} seeds from ${range.first}, ${hours.toFixed(0)} virtual hours, no violation, ` +
      `${(elapsedMs / 1_000).toFixed(0)} s, ${each} ms a seed`,
  );
  return 0;
}

async function runMutations(): Promise<number> {
  console.log("| mutation | seeds until caught | checker |\n|---|---:|---|");
  let missed = 0;
  for (const mutation of MUTATIONS) {
    const { name, caught } = await runMutation(mutation);
    if (caught === undefined) missed += 1;
    console.log(`| ${name} | ${caught?.seeds ?? "not caught"} | ${caught?.checker ?? ""} |`);
  }
  return missed === 0 ? 0 : 1;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    console.error(`--${name} takes a whole number from 0, not ${text}\n${USAGE}`);
    process.exit(2);
  }
  return value;
}

process.exitCode = await main();
