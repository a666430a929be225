import { assert } from "../lib/index.ts";
import type { HardState, LogEntry, LogIndex, RaftLimits } from "../raft/index.ts";
import type { LogPoint, OpenedLogState } from "./log/log-types.ts";
import type { SegmentedLog } from "./log/segmented-log.ts";

/**
 * Entries that the core keeps in memory for members that are a little late; older ones are read
 * from the log. Small, because a server that is alone pays for it too.
 */
export const CORE_LIMITS: Partial<RaftLimits> = { maxMemoryLogBytes: 8 * 1024 * 1024 };

/**
 * The end of the log as the core needs it: everything that is not applied at least, because who
 * decides may have changed there.
 */
export async function entriesForCore(
  opened: OpenedLogState & { readonly log: SegmentedLog },
  appliedIndex: number,
): Promise<readonly LogEntry[]> {
  const first = opened.tail[0]?.index ?? opened.lastIndex + 1;
  if (first <= appliedIndex + 1) return opened.tail;
  const entries = await opened.log.read((appliedIndex + 1) as LogIndex, Infinity);
  assert(entries !== "compacted", `the log begins behind entry ${appliedIndex}, which is applied`);
  return entries;
}

/**
 * The hard state that the core begins with. What is applied was committed, and in its term there
 * was an election: a log that begins anew behind a state from elsewhere knows neither.
 */
export function hardStateFor(opened: OpenedLogState, applied: LogPoint): HardState {
  const { term, vote, commit } = opened.hardState;
  const least = Math.max(applied.term, opened.lastTerm) as typeof term;
  return {
    term: term < least ? least : term,
    vote: term < least ? 0 : vote,
    commit: Math.max(commit, applied.index) as LogIndex,
  };
}
