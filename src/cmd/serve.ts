import type { ServerFlags } from "../cli/index.ts";
import { startCluster } from "./cluster.ts";
import type { RunningCluster } from "./cluster.ts";
import { untilSignalled } from "./until-signalled.ts";
import type { UntilSignalledOptions } from "./until-signalled.ts";

export type ServeOptions = Pick<UntilSignalledOptions<RunningCluster>, "podsAtSignal" | "onReady">;

/** Runs a server until a signal ends it. */
export function serve(flags: ServerFlags, options: ServeOptions): Promise<void> {
  return untilSignalled({ ...options, start: () => startCluster(flags) });
}
