import { AssertionError } from "../lib/index.ts";
import { RemovedError } from "./removed-error.ts";
import { STOP_WITH_PODS_SIGNAL } from "./stop.ts";

export interface Stoppable {
  /** Resolves when this process must end although nobody asked for it, and says why. */
  readonly failed?: Promise<Error>;
  /** Resolves when another process has taken its place: nothing is left to stop. */
  readonly replaced?: Promise<void>;
  stop(options: { pods: "keep" | "end" }): Promise<void>;
}

export interface UntilSignalledOptions<T extends Stoppable> {
  readonly start: () => Promise<T>;
  /** What SIGTERM and SIGINT do with the pods; SIGUSR2 always ends them. */
  readonly podsAtSignal: "keep" | "end";
  /** Called when it runs. */
  readonly onReady: (running: T) => Promise<void> | void;
}

export type HowItEnded = "stopped" | "replaced";

export const EXIT_FATAL = 70;
const EXIT_FORCED = 130;
/** How long the pods of a server that was removed may take to end. */
const END_PODS_MS = 40_000;

/** Runs what `start` gives until a signal ends it. */
export async function untilSignalled<T extends Stoppable>(
  options: UntilSignalledOptions<T>,
): Promise<HowItEnded> {
  const ended = Promise.withResolvers<"keep" | "end">();
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    // A second Ctrl-C does not wait for pods to end.
    if (signals > 1) process.exit(EXIT_FORCED);
    ended.resolve(options.podsAtSignal);
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, onSignal);
  process.on(STOP_WITH_PODS_SIGNAL, () => ended.resolve("end"));
  stopOnBrokenInvariants();
  // A signal while it still waits for its cluster: nothing has begun that would have to be ended.
  const early = ended.promise.then(() => undefined);
  const running = await Promise.race([options.start(), early]);
  if (running === undefined) return "stopped";
  running.failed?.then(
    async (error) => {
      process.stderr.write(`error: ${error.message}\n`);
      if (error instanceof RemovedError) {
        await Promise.race([running.stop({ pods: "end" }), Bun.sleep(END_PODS_MS)]);
      }
      process.exit(EXIT_FATAL);
    },
    (error: unknown) => process.stderr.write(`error: ${String(error)}\n`),
  );
  const never = new Promise<never>(() => undefined);
  const replaced = running.replaced?.then(() => "replaced" as const) ?? never;
  let outcome: "keep" | "end" | "replaced" = options.podsAtSignal;
  try {
    await Promise.race([options.onReady(running), ended.promise, replaced]);
    outcome = await Promise.race([ended.promise, replaced]);
  } finally {
    // Also when what should follow the start failed: nothing is left behind half-way.
    if (outcome !== "replaced") await running.stop({ pods: outcome });
  }
  return outcome === "replaced" ? "replaced" : "stopped";
}

/** What nobody caught: a broken invariant ends the process, anything else is told and survived. */
function stopOnBrokenInvariants(): void {
  const onUncaught = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`error: nobody caught: ${text}\n`);
    if (error instanceof AssertionError) process.exit(EXIT_FATAL);
  };
  process.on("uncaughtException", onUncaught);
  process.on("unhandledRejection", onUncaught);
}
