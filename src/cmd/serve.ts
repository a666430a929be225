import type { ServerFlags } from "../cli/index.ts";
import { AssertionError } from "../lib/index.ts";
import { startCluster } from "./cluster.ts";
import type { RunningCluster } from "./cluster.ts";
import { STOP_WITH_PODS_SIGNAL } from "./stop.ts";

export interface ServeOptions {
  /** What SIGTERM and SIGINT do with the pods. */
  readonly podsAtSignal: "keep" | "end";
  /** Called when the cluster runs. */
  readonly onReady: (cluster: RunningCluster) => Promise<void>;
}

const EXIT_FATAL = 70;
const EXIT_FORCED = 130;

/** Runs a server until a signal ends it. */
export async function serve(flags: ServerFlags, options: ServeOptions): Promise<void> {
  const ended = Promise.withResolvers<"keep" | "end">();
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    // A second Ctrl-C does not wait for pods to end.
    if (signals > 1) process.exit(EXIT_FORCED);
    ended.resolve(options.podsAtSignal);
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", onSignal);
  process.on(STOP_WITH_PODS_SIGNAL, () => ended.resolve("end"));
  stopOnBrokenInvariants();
  const cluster = await startCluster(flags);
  cluster.failed.then(
    (error) => {
      process.stderr.write(`error: the state can be written no more: ${error.message}\n`);
      process.exit(EXIT_FATAL);
    },
    (error: unknown) => process.stderr.write(`error: ${String(error)}\n`),
  );
  let pods = options.podsAtSignal;
  try {
    await Promise.race([options.onReady(cluster), ended.promise]);
    pods = await ended.promise;
  } finally {
    // Also when what should follow the start failed: nothing is left behind half-way.
    await cluster.stop({ pods });
  }
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
