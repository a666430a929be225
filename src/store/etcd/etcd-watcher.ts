import { StoreError } from "../../mvcc/index.ts";
import type { Revision, StoreWatchEvent } from "../../mvcc/index.ts";
import { storeErrorOf } from "./etcd-client.ts";
import type { EtcdClient } from "./etcd-client.ts";
import { eventOf } from "./etcd-mirror.ts";
import type { EtcdMirror } from "./etcd-mirror.ts";
import { decodeText, encodeText, endOfPrefix, keyValueOf } from "./etcd-wire.ts";
import type { EtcdEvent, EtcdWatch } from "./etcd-wire.ts";

export interface EtcdWatcherOptions {
  readonly client: EtcdClient;
  readonly mirror: EtcdMirror;
  readonly prefix: string;
  readonly after: Revision;
  /** Ends the watch quietly. */
  readonly signal: AbortSignal;
  /** Ends the watch with StoreError closed. */
  readonly closed: AbortSignal;
  readonly reached: (revision: Revision) => Promise<void>;
  /** Resolves with the mirror's next step, or when one of the signals aborts. */
  readonly nextStep: (signals: readonly AbortSignal[]) => Promise<void>;
}

/** Events handed out at once, unless one revision has more. */
const BATCH_EVENTS = 512;

/**
 * One watch: from memory when it has everything behind `after`, else of etcd's own history for as
 * long as it lasts. Nothing is handed out that `get` would not see here.
 */
export async function* watchEtcd(
  options: EtcdWatcherOptions,
): AsyncGenerator<readonly StoreWatchEvent[]> {
  const { mirror, after, signal } = options;
  if (signal.aborted) return;
  if (after > mirror.revision) {
    const message = `revision ${after} is ahead of ${mirror.revision}`;
    throw new StoreError("future-revision", message);
  }
  if (after < mirror.compactedRevision) throw compacted(after, mirror.compactedRevision);
  if (after >= mirror.events.forgottenRevision) yield* watchMemory(options);
  else yield* watchHistory(options);
}

async function* watchMemory(
  options: EtcdWatcherOptions,
): AsyncGenerator<readonly StoreWatchEvent[]> {
  const { mirror, prefix, signal, closed } = options;
  const began = mirror.events;
  let cursor = options.after;
  while (!signal.aborted) {
    checkOpen(closed);
    const buffer = mirror.events;
    if (buffer !== began || cursor < buffer.forgottenRevision) {
      const message = `the watch of ${prefix} has read up to revision ${cursor}; it must list anew`;
      throw new StoreError("slow-watcher", message);
    }
    const { events, upTo } = buffer.read(prefix, cursor, BATCH_EVENTS);
    cursor = upTo;
    if (events.length > 0) {
      yield events;
      continue;
    }
    if (mirror.revision > cursor) cursor = mirror.revision;
    await options.nextStep([signal, closed]);
  }
}

async function* watchHistory(
  options: EtcdWatcherOptions,
): AsyncGenerator<readonly StoreWatchEvent[]> {
  const { client, mirror, prefix, signal, closed } = options;
  let cursor = options.after;
  while (!signal.aborted) {
    checkOpen(closed);
    const key = mirror.stateKey(prefix);
    const request = {
      create_request: {
        key: encodeText(key),
        range_end: endOfPrefix(key),
        start_revision: String(cursor + 1),
        prev_kv: true,
        fragment: true,
      },
    };
    const either = AbortSignal.any([signal, closed]);
    let fragments: EtcdEvent[] = [];
    try {
      for await (const result of client.stream("/v3/watch", request, either)) {
        const answer = result as EtcdWatch;
        if (answer.compact_revision !== undefined) {
          throw compacted(cursor, Number(answer.compact_revision));
        }
        fragments.push(...(answer.events ?? []));
        if (answer.fragment === true || fragments.length === 0) continue;
        const events = fragments.map((event) => historicEvent(mirror, event));
        fragments = [];
        const last = events.at(-1)?.kv.modRevision ?? cursor;
        await options.reached(last);
        cursor = last;
        yield events;
      }
    } catch (error) {
      if (signal.aborted) return;
      checkOpen(closed);
      const known = storeErrorOf(error);
      if (known.code !== "unavailable" && known.code !== "overloaded") throw known;
      // The connection broke: it goes on behind what was handed out.
      client.moveOn();
      await options.nextStep([signal, closed]);
    }
  }
}

function historicEvent(mirror: EtcdMirror, event: EtcdEvent): StoreWatchEvent {
  const raw = event.kv ?? { key: "" };
  const key = decodeText(raw.key).slice(mirror.stateKey("").length);
  const kv = keyValueOf(key, raw);
  const previous = event.prev_kv === undefined ? undefined : keyValueOf(key, event.prev_kv);
  if (event.type === undefined) return eventOf("put", kv, previous);
  return eventOf("delete", { ...(previous ?? kv), modRevision: kv.modRevision }, previous);
}

function compacted(revision: number, to: number): StoreError {
  return new StoreError("compacted", `revision ${revision} is compacted (to ${to})`);
}

function checkOpen(closed: AbortSignal): void {
  if (closed.aborted) throw new StoreError("closed", "the store is closed");
}
