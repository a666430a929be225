import { SHOWN_EVENTS } from "./core/trace.ts";
import type { SeedOutcome, Simulation } from "./outcome.ts";

export interface SeedRange {
  readonly first: number;
  readonly count: number;
  /** Stops before the next seed when this much real time is over. */
  readonly milliseconds?: number;
  /** Told now and then how far it is. */
  readonly onProgress?: (done: number, elapsedMs: number) => void;
}

const PROGRESS_MS = 10_000;

export interface SeedsOutcome {
  readonly done: number;
  readonly elapsedMs: number;
  /** The first seed that broke a rule, replayed with its events written down. */
  readonly failure?: SeedOutcome;
}

/** Runs seeds in order until one fails, or all are done, or the time is over. */
export async function runSeeds(simulation: Simulation, range: SeedRange): Promise<SeedsOutcome> {
  const { first, count, milliseconds = Infinity, onProgress } = range;
  const started = performance.now();
  let reported = 0;
  let done = 0;
  const elapsed = (): number => performance.now() - started;
  while (done < count && elapsed() < milliseconds) {
    const seed = first + done;
    const outcome = await simulation.run(seed);
    done += 1;
    if (outcome.violation !== undefined) {
      const failure = await simulation.run(seed, { recording: SHOWN_EVENTS });
      return { done, elapsedMs: elapsed(), failure };
    }
    if (elapsed() - reported < PROGRESS_MS) continue;
    reported = elapsed();
    onProgress?.(done, reported);
  }
  return { done, elapsedMs: elapsed() };
}

/** What a reader needs to see the failure again. */
export function describeFailure(
  failure: SeedOutcome,
  options: { readonly kind: "core" | "cluster"; readonly commit: string },
): string {
  const what = failure.violation?.message ?? "no violation";
  return [
    ...failure.lines,
    "",
    `seed ${failure.seed} of commit ${options.commit}: ${what}`,
    `replay: bun run sim --${options.kind} --seed ${failure.seed}`,
  ].join("\n");
}
