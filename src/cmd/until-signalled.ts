import { AssertionError } from "../lib/index.ts";
import { STOP_WITH_PODS_SIGNAL } from "./stop.ts";

export interface Stoppable {
  stop(options: { pods: "keep" | "end" }): Promise<void>;
}

const EXIT_FATAL = 70;
const EXIT_FORCED = 130;

/** Runs what `start` gives until a signal: SIGTERM and its like keep the pods, SIGUSR2 ends them. */
export async function untilSignalled(start: () => Promise<Stoppable>): Promise<void> {
  const ended = Promise.withResolvers<"keep" | "end">();
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    if (signals > 1) process.exit(EXIT_FORCED);
    ended.resolve("keep");
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, onSignal);
  process.on(STOP_WITH_PODS_SIGNAL, () => ended.resolve("end"));
  const onUncaught = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`error: nobody caught: ${text}\n`);
    if (error instanceof AssertionError) process.exit(EXIT_FATAL);
  };
  process.on("uncaughtException", onUncaught);
  process.on("unhandledRejection", onUncaught);
  // A signal while the node waits for its cluster: nothing has begun that would have to be ended.
  const early = ended.promise.then((): Stoppable => ({ stop: () => Promise.resolve() }));
  const running = await Promise.race([start(), early]);
  await running.stop({ pods: await ended.promise });
}
