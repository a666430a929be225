import { sleep } from "../../lib/index.ts";
import type { Clock, Logger } from "../../lib/index.ts";
import { OrderedMap } from "../../mvcc/index.ts";
import type { KeyValue, Revision, StoreWatchEvent } from "../../mvcc/index.ts";
import { EtcdError } from "./etcd-client.ts";
import type { EtcdClient } from "./etcd-client.ts";
import { EventBuffer } from "./event-buffer.ts";
import {
  decodeText,
  encodeText,
  endOfPrefix,
  FIRST_KEY,
  keyBehind,
  keyValueOf,
  revisionOf,
} from "./etcd-wire.ts";
import type { EtcdEvent, EtcdRange, EtcdWatch } from "./etcd-wire.ts";

export interface EtcdMirrorOptions {
  readonly client: EtcdClient;
  /** Everything of this cluster is below it: the state below "/state", the rest is control. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after each step, with the mirror as it is then. */
  readonly onApplied: () => void;
}

/** Etcd's gateway hands on at most 4 MiB at once; a page of large values is asked for in parts. */
const PAGE_KEYS = 500;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2_000;

/**
 * Etcd's state in memory: listed once, then watched. It watches all keys there are, because only so
 * every revision comes by: that a revision is applied here is then known without asking.
 */
export class EtcdMirror {
  readonly #options: EtcdMirrorOptions;
  readonly #statePrefix: string;
  #keys = new OrderedMap<KeyValue>();
  /** Keys below the prefix that are not state: "/leader", "/servers/7". */
  #control = new Map<string, KeyValue>();
  #events = new EventBuffer(0 as Revision);
  #revision = 0 as Revision;
  #compacted = 0 as Revision;
  #fragments: EtcdEvent[] = [];
  /** Ends the present watch. */
  #watching = new AbortController();

  constructor(options: EtcdMirrorOptions) {
    this.#options = options;
    this.#statePrefix = `${options.prefix}/state`;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** As far as is known here: others compact too. */
  get compactedRevision(): Revision {
    return this.#compacted;
  }

  get keys(): OrderedMap<KeyValue> {
    return this.#keys;
  }

  /** A new one whenever the state came in one piece, because its history was compacted. */
  get events(): EventBuffer {
    return this.#events;
  }

  control(name: string): KeyValue | undefined {
    return this.#control.get(name);
  }

  controls(prefix: string): KeyValue[] {
    return [...this.#control.values()].filter((kv) => kv.key.startsWith(prefix));
  }

  stateKey(key: string): string {
    return `${this.#statePrefix}${key}`;
  }

  controlKey(name: string): string {
    return `${this.#options.prefix}${name}`;
  }

  compactedTo(revision: Revision): void {
    if (revision > this.#compacted) this.#compacted = revision;
  }

  /** Lists what is there; then `follow` keeps it so. */
  async load(): Promise<void> {
    const { prefix } = this.#options;
    const first = await this.#page(encodeText(`${prefix}/`), undefined);
    const revision = revisionOf(first.header);
    const state: [string, KeyValue][] = [];
    const control = new Map<string, KeyValue>();
    let page = first;
    for (;;) {
      for (const raw of page.kvs ?? []) {
        const key = decodeText(raw.key);
        const name = this.#stateName(key);
        if (name !== undefined) state.push([name, keyValueOf(name, raw)]);
        else control.set(key.slice(prefix.length), keyValueOf(key.slice(prefix.length), raw));
      }
      const last = page.kvs?.at(-1);
      if (page.more !== true || last === undefined) break;
      page = await this.#page(keyBehind(decodeText(last.key)), revision);
    }
    this.#keys = OrderedMap.from(state);
    this.#control = control;
    this.#revision = revision;
    this.#events = new EventBuffer(revision);
    this.#fragments = [];
    this.#options.onApplied();
  }

  /** Watches until the signal aborts; resumes behind the last revision whatever happens between. */
  async follow(signal: AbortSignal): Promise<void> {
    const { client, clock, logger } = this.#options;
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const before = this.#revision;
      try {
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        logger.warn("the watch of etcd broke: it goes on behind the last revision", {
          revision: this.#revision,
          error: error instanceof Error ? error.message : String(error),
        });
      }
      if (signal.aborted) return;
      client.moveOn();
      pauseMs = this.#revision > before ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, MAX_PAUSE_MS);
      await sleep(clock, pauseMs, signal);
    }
  }

  /** Ends a watch that is silent although there is something to tell; `follow` begins another. */
  rewatch(): void {
    this.#watching.abort();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    this.#watching = new AbortController();
    this.#fragments = [];
    const request = {
      create_request: {
        key: FIRST_KEY,
        range_end: FIRST_KEY,
        start_revision: String(this.#revision + 1),
        progress_notify: true,
        fragment: true,
      },
    };
    const either = AbortSignal.any([signal, this.#watching.signal]);
    for await (const result of this.#options.client.stream("/v3/watch", request, either)) {
      const answer = result as EtcdWatch;
      if (answer.canceled === true) {
        if (answer.compact_revision === undefined) {
          const message = answer.cancel_reason ?? "etcd ended the watch";
          throw new EtcdError(message, { delivered: true });
        }
        // What happened meanwhile is gone: the state has to come in one piece.
        this.compactedTo(Number(answer.compact_revision) as Revision);
        await this.load();
        return;
      }
      this.#take(answer);
    }
  }

  #take(answer: EtcdWatch): void {
    if (answer.created === true) return;
    this.#fragments.push(...(answer.events ?? []));
    if (answer.fragment === true) return;
    const events = this.#fragments;
    this.#fragments = [];
    // Without events it tells that nothing happened up to its revision.
    const last = Number(events.at(-1)?.kv?.mod_revision ?? revisionOf(answer.header)) as Revision;
    for (const event of events) this.#apply(event);
    if (last > this.#revision) this.#revision = last;
    this.#options.onApplied();
  }

  #apply({ type, kv: raw }: EtcdEvent): void {
    const modRevision = Number(raw?.mod_revision ?? 0) as Revision;
    if (raw === undefined || modRevision <= this.#revision) return;
    const key = decodeText(raw.key);
    const name = this.#stateName(key);
    if (name !== undefined) return this.#applyState(name, keyValueOf(name, raw), type);
    const { prefix } = this.#options;
    if (!key.startsWith(`${prefix}/`)) return;
    const control = key.slice(prefix.length);
    if (type === "DELETE") this.#control.delete(control);
    else this.#control.set(control, keyValueOf(control, raw));
  }

  #applyState(key: string, kv: KeyValue, type: "DELETE" | undefined): void {
    const previous = this.#keys.get(key);
    if (type === undefined) {
      this.#keys.set(key, kv);
      this.#events.push(eventOf("put", kv, previous));
      return;
    }
    this.#keys.delete(key);
    const gone = { ...(previous ?? kv), modRevision: kv.modRevision };
    this.#events.push(eventOf("delete", gone, previous));
  }

  #stateName(key: string): string | undefined {
    return key.startsWith(`${this.#statePrefix}/`) || key === this.#statePrefix
      ? key.slice(this.#statePrefix.length)
      : undefined;
  }

  async #page(from: string, revision: Revision | undefined): Promise<EtcdRange> {
    const end = endOfPrefix(`${this.#options.prefix}/`);
    return readPage(this.#options.client, { from, end, limit: PAGE_KEYS, revision });
  }
}

export function eventOf(
  type: StoreWatchEvent["type"],
  kv: KeyValue,
  previous: KeyValue | undefined,
): StoreWatchEvent {
  return { type, kv, ...(previous === undefined ? {} : { previous }) };
}

/** One page of keys; fewer at once when they are too large together. @throws EtcdError */
export async function readPage(
  client: EtcdClient,
  range: { from: string; end: string; limit: number; revision: Revision | undefined },
): Promise<EtcdRange> {
  for (let { limit } = range; ; limit = Math.max(1, limit >> 2)) {
    const body = {
      key: range.from,
      range_end: range.end,
      limit: String(limit),
      ...(range.revision === undefined ? {} : { revision: String(range.revision) }),
    };
    try {
      return (await client.call("/v3/kv/range", body, { repeatable: true })) as EtcdRange;
    } catch (error) {
      const tooLarge = error instanceof EtcdError && /larger than max/.test(error.message);
      if (!tooLarge || limit === 1) throw error;
    }
  }
}
