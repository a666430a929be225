import type { HistoryRow } from "./history.ts";
import type { KeyValue, Revision, StoreWatchEvent } from "./model.ts";
import { keyValueOf } from "./state-machine.ts";
import type { StateMachine } from "./state-machine.ts";
import { StoreError } from "./store-error.ts";

/** Rows of history read at once: a page is a millisecond of the event loop. */
const PAGE_ROWS = 256;
/** Events of the window undone at once. */
const UNDO_EVENTS = 4_096;

/** @throws StoreError compacted, future-revision, unless the state still is known. */
export function checkRevision(machine: StateMachine, revision: Revision): void {
  const { revision: latest, compactedRevision } = machine;
  if (revision < compactedRevision) {
    const message = `revision ${revision} is compacted (to ${compactedRevision})`;
    throw new StoreError("compacted", message);
  }
  if (revision > latest) {
    const message = `revision ${revision} is ahead of ${latest}`;
    throw new StoreError("future-revision", message);
  }
}

/**
 * The keys under a prefix as they were: the present with every change since undone. With
 * `a@3 b@5` now and the changes `4: put b (was 2)` and `5: put b (was 4)`, the state at 3 is
 * `a@3 b@2`: of each key only the first change behind 3 counts, and it names what it replaced.
 *
 * @param pause awaited between pages, so that a long way back does not hold up the event loop
 * @throws StoreError compacted, future-revision
 */
export async function listPast(
  machine: StateMachine,
  prefix: string,
  revision: Revision,
  pause: () => Promise<void>,
): Promise<KeyValue[]> {
  checkRevision(machine, revision);
  const until = machine.revision;
  const present = machine.list(prefix);
  const before = new Map<string, KeyValue | undefined>();
  for (let at = revision; at < until;) {
    const changes = pastEvents(machine, at, { until, limit: UNDO_EVENTS });
    for (const { kv, previous } of changes) {
      if (kv.key.startsWith(prefix) && !before.has(kv.key)) before.set(kv.key, previous);
    }
    at = changes.at(-1)?.kv.modRevision ?? until;
    if (at >= until) break;
    if (at + 1 >= machine.window.firstRevision) continue;
    await pause();
    // What is needed may have been compacted during the pause.
    checkRevision(machine, revision);
  }
  if (before.size === 0) return present;
  const past = present.filter((kv) => !before.has(kv.key));
  for (const kv of before.values()) if (kv !== undefined) past.push(kv);
  return past.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** The next changes behind a revision: from memory if they are there, else a page of history. */
export function pastEvents(
  machine: StateMachine,
  after: Revision,
  options: { readonly until: Revision; readonly limit: number },
): StoreWatchEvent[] {
  const { window, history } = machine;
  const { until, limit } = options;
  const events: StoreWatchEvent[] = [];
  if (after + 1 >= window.firstRevision) {
    const last = Math.min(until, after + limit);
    for (let revision = after + 1; revision <= last; revision++) {
      const event = window.at(revision as Revision);
      if (event !== undefined) events.push(event);
    }
    return events;
  }
  for (const row of history.page(after, Math.min(limit, PAGE_ROWS))) {
    if (row.revision > until) break;
    events.push(eventOf(machine, row));
  }
  return events;
}

function eventOf(machine: StateMachine, row: HistoryRow): StoreWatchEvent {
  const replaced = row.previous === 0 ? undefined : machine.history.row(row.previous);
  const previous = replaced && keyValueOf(replaced);
  if (row.value !== null) {
    const kv = keyValueOf(row);
    return { type: "put", kv, ...(previous === undefined ? {} : { previous }) };
  }
  if (previous === undefined) {
    throw new Error(`revision ${row.revision} deletes ${row.key}, which history has lost`);
  }
  return { type: "delete", kv: { ...previous, modRevision: row.revision }, previous };
}
