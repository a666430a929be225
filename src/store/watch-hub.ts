import type { Clock } from "../lib/index.ts";
import type { Revision, StateMachine } from "../mvcc/index.ts";
import type { StoreState } from "./store-state.ts";

/** Watchers woken in one turn of the event loop; the next ones come in the next turn. */
const WAKES_A_TURN = 512;

/** All watchers of one prefix share what happened under it. */
export interface WatchGroup {
  readonly prefix: string;
  /** Revisions under the prefix since the group began, rising; positions before `head` are cut. */
  revisions: number[];
  /** A watcher whose cursor is behind this has missed what the window forgot. */
  forgottenRevision: number;
  readonly waiting: Set<() => void>;
  members: number;
}

/**
 * Tells watchers that something happened. An event finds its groups by the prefixes of its key: one
 * look into a map for each length that a watched prefix has, however many watchers there are. The
 * groups keep revisions only; the events themselves are in the state machine's window.
 */
export class WatchHub {
  readonly #state: Pick<StoreState, "machine">;
  readonly #clock: Clock;
  readonly #groups = new Map<string, WatchGroup>();
  /** Length of a watched prefix → groups that have it. */
  readonly #lengths = new Map<number, number>();
  #dispatched: Revision;
  #wakes: (() => void)[] = [];
  #waking = false;

  constructor(state: Pick<StoreState, "machine">, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    this.#dispatched = state.machine.revision;
  }

  /** A watcher that began with another machine than this one has missed what lies between. */
  get machine(): StateMachine {
    return this.#state.machine;
  }

  /** A peer's state took the place of ours: everybody has to list anew. */
  replaced(): void {
    this.#dispatched = this.machine.revision;
    for (const group of this.#groups.values()) {
      for (const wake of group.waiting) this.#wakes.push(wake);
      group.waiting.clear();
    }
    if (this.#wakes.length > 0 && !this.#waking) this.#wake();
  }

  /** From the present revision on; leave() when done. */
  join(prefix: string): WatchGroup {
    this.dispatch();
    let group = this.#groups.get(prefix);
    if (group === undefined) {
      group = {
        prefix,
        revisions: [],
        forgottenRevision: 0,
        waiting: new Set(),
        members: 0,
      };
      this.#groups.set(prefix, group);
      this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
    }
    group.members += 1;
    return group;
  }

  leave(group: WatchGroup): void {
    group.members -= 1;
    if (group.members > 0) return;
    this.#groups.delete(group.prefix);
    const left = (this.#lengths.get(group.prefix.length) ?? 1) - 1;
    if (left > 0) this.#lengths.set(group.prefix.length, left);
    else this.#lengths.delete(group.prefix.length);
  }

  get watchers(): number {
    let members = 0;
    for (const group of this.#groups.values()) members += group.members;
    return members;
  }

  /** Sorts the events since the last call into the groups, and wakes who waits for them. */
  dispatch(): void {
    const { window, revision: until } = this.machine;
    if (this.#groups.size === 0) this.#dispatched = until;
    for (let revision = this.#dispatched + 1; revision <= until; revision++) {
      const key = window.at(revision as Revision)?.kv.key;
      if (key === undefined) this.#forgetAll(revision);
      else this.#sort(key, revision);
    }
    this.#dispatched = until;
    if (this.#wakes.length > 0 && !this.#waking) this.#wake();
  }

  #sort(key: string, revision: number): void {
    for (const length of this.#lengths.keys()) {
      if (length > key.length) continue;
      const group = this.#groups.get(key.slice(0, length));
      if (group === undefined) continue;
      group.revisions.push(revision);
      this.#trim(group);
      if (group.waiting.size === 0) continue;
      for (const wake of group.waiting) this.#wakes.push(wake);
      group.waiting.clear();
    }
  }

  /** Drops revisions that the window has dropped, half of the list at a time. */
  #trim(group: WatchGroup): void {
    const first = this.machine.window.firstRevision;
    const middle = group.revisions[group.revisions.length >> 1];
    if (middle === undefined || middle >= first) return;
    const keep = group.revisions.findIndex((revision) => revision >= first);
    group.forgottenRevision = group.revisions[keep - 1] ?? 0;
    group.revisions = group.revisions.slice(keep);
  }

  /** One entry changed more than the window holds: whoever is behind it has missed something. */
  #forgetAll(revision: number): void {
    for (const group of this.#groups.values()) group.forgottenRevision = revision;
  }

  #wake(): void {
    const now = this.#wakes.splice(0, WAKES_A_TURN);
    for (const wake of now) wake();
    this.#waking = this.#wakes.length > 0;
    if (this.#waking) this.#clock.after(0, () => this.#wake());
  }
}
