import { assert } from "../lib/index.ts";
import type { LogEntry, LogIndex } from "../raft/index.ts";
import type { OpenedLogState } from "./log/log-types.ts";
import type { SegmentedLog } from "./log/segmented-log.ts";

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
