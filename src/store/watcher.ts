import { unreachable } from "../lib/index.ts";
import { checkRevision, pastEvents, StoreError } from "../mvcc/index.ts";
import type { Revision, StateMachine, StoreWatchEvent } from "../mvcc/index.ts";
import { closedError } from "./driver-mode.ts";
import type { WatchGroup, WatchHub } from "./watch-hub.ts";

/** Events handed out at once. */
const BATCH_EVENTS = 512;

export interface WatcherOptions {
  readonly hub: WatchHub;
  readonly prefix: string;
  readonly after: Revision;
  /** Ends the watch quietly. */
  readonly signal: AbortSignal;
  /** Ends the watch with StoreError closed. */
  readonly closed: AbortSignal;
  /** Lets others run between pages of history. */
  readonly pause: () => Promise<void>;
}

/**
 * Where a watcher stands:
 * - unsynced: it reads the past, from history or the window, up to the present;
 * - synced: it is told what happens, and reads it from the window by its own cursor;
 * - slow: the window has forgotten what it had yet to read; it must list anew;
 * - ended: aborted, closed or failed.
 */
type WatcherState =
  | { readonly type: "unsynced" }
  | { readonly type: "synced"; readonly group: WatchGroup }
  | { readonly type: "slow" }
  | { readonly type: "ended" };

/** One watch: a cursor into the events that all watchers share. */
export class Watcher implements AsyncIterableIterator<readonly StoreWatchEvent[]> {
  readonly #options: WatcherOptions;
  /** What the watch began with; a state that came from a peer is another one. */
  readonly #machine: StateMachine;
  /** Everything up to here is delivered. */
  #cursor: Revision;
  #state: WatcherState = { type: "unsynced" };
  /** Ends the present wait. */
  #wake: () => void = () => undefined;
  #listening = false;
  readonly #onEnd = (): void => this.#wake();
  /** The end of the `next` before: callers get their batches in turn. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#cursor = options.after;
    this.#machine = options.hub.machine;
  }

  get state(): WatcherState["type"] {
    return this.#state.type;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<readonly StoreWatchEvent[]>> {
    const result = this.#turn.then(() => this.#next());
    this.#turn = result.catch(() => undefined);
    return result;
  }

  return(): Promise<IteratorResult<readonly StoreWatchEvent[]>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  async #next(): Promise<IteratorResult<readonly StoreWatchEvent[]>> {
    try {
      for (;;) {
        if (this.#options.signal.aborted) this.#end();
        if (this.#state.type === "ended") return { done: true, value: undefined };
        if (this.#options.closed.aborted) throw closedError();
        if (this.#options.hub.machine !== this.#machine) throw this.#replaced();
        const events = this.#state.type === "unsynced" ? await this.#catchUp() : this.#read();
        if (events.length > 0) return { done: false, value: events };
        if (this.state === "synced") await this.#wait();
      }
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  /** Events of the past; none when there are none, and then the watcher is synced. */
  async #catchUp(): Promise<StoreWatchEvent[]> {
    const { prefix, hub } = this.#options;
    const machine = this.#machine;
    while (!this.#options.signal.aborted) {
      if (hub.machine !== machine) throw this.#replaced();
      checkRevision(machine, this.#cursor);
      const until = machine.revision;
      if (this.#cursor === until) {
        this.#state = { type: "synced", group: hub.join(prefix) };
        return [];
      }
      const page = pastEvents(machine, this.#cursor, { until, limit: BATCH_EVENTS });
      this.#cursor = page.at(-1)?.kv.modRevision ?? until;
      const events = page.filter((event) => event.kv.key.startsWith(prefix));
      if (events.length > 0) return events;
      if (this.#cursor + 1 < machine.window.firstRevision) await this.#options.pause();
    }
    return [];
  }

  #read(): StoreWatchEvent[] {
    const state = this.#state;
    switch (state.type) {
      case "synced":
        return this.#readGroup(state.group);
      case "unsynced":
      case "ended":
      case "slow":
        return [];
      default:
        return unreachable(state);
    }
  }

  #readGroup(group: WatchGroup): StoreWatchEvent[] {
    if (this.#cursor < group.forgottenRevision) throw this.#becomeSlow(group);
    const { window } = this.#machine;
    const events: StoreWatchEvent[] = [];
    for (let at = behind(group.revisions, this.#cursor); events.length < BATCH_EVENTS; at++) {
      const revision = group.revisions[at];
      if (revision === undefined) break;
      const event = window.at(revision as Revision);
      if (event === undefined) throw this.#becomeSlow(group);
      events.push(event);
    }
    this.#cursor = events.at(-1)?.kv.modRevision ?? this.#cursor;
    return events;
  }

  #replaced(): StoreError {
    const state = this.#state;
    if (state.type === "synced") this.#options.hub.leave(state.group);
    this.#state = { type: "slow" };
    const read = `the watch of ${this.#options.prefix} has read up to revision ${this.#cursor}`;
    return new StoreError("slow-watcher", `${read}; a newer state came in one piece`);
  }

  #becomeSlow(group: WatchGroup): StoreError {
    this.#options.hub.leave(group);
    this.#state = { type: "slow" };
    const { window } = this.#machine;
    return new StoreError(
      "slow-watcher",
      `the watch of ${group.prefix} has read up to revision ${this.#cursor}; ` +
        `events are kept from revision ${window.firstRevision} on`,
    );
  }

  #wait(): Promise<void> {
    const state = this.#state;
    if (state.type !== "synced") return Promise.resolve();
    if (!this.#listening) this.#listen();
    return new Promise((resolve) => {
      this.#wake = resolve;
      state.group.waiting.add(resolve);
    });
  }

  #listen(): void {
    this.#listening = true;
    this.#options.signal.addEventListener("abort", this.#onEnd);
    this.#options.closed.addEventListener("abort", this.#onEnd);
  }

  #end(): void {
    this.#options.signal.removeEventListener("abort", this.#onEnd);
    this.#options.closed.removeEventListener("abort", this.#onEnd);
    if (this.#state.type === "synced") {
      this.#state.group.waiting.delete(this.#wake);
      this.#options.hub.leave(this.#state.group);
    }
    this.#state = { type: "ended" };
    this.#wake();
  }
}

/** The first position whose revision is behind the given one. */
function behind(revisions: readonly number[], revision: number): number {
  let low = 0;
  let high = revisions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((revisions[middle] ?? 0) <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
