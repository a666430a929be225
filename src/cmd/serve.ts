import type { ServerFlags } from "../cli/index.ts";
import { startReplaceable } from "./replaceable-server.ts";
import type { ReplaceableServer } from "./replaceable-server.ts";
import { untilSignalled } from "./until-signalled.ts";
import type { HowItEnded, UntilSignalledOptions } from "./until-signalled.ts";

export type ServeOptions = Pick<
  UntilSignalledOptions<ReplaceableServer>,
  "podsAtSignal" | "onReady"
>;

/** Runs a server until a signal ends it, or another process has taken its place. */
export function serve(flags: ServerFlags, options: ServeOptions): Promise<HowItEnded> {
  return untilSignalled({ ...options, start: () => startReplaceable(flags) });
}
