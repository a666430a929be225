import type { CancelTimer, Clock } from "../lib/index.ts";
import type { Pod } from "../api/index.ts";
import type { ClusterChange } from "./plugin.ts";

/** Pods the queue holds; more wait in the API and are found again when the queue has emptied. */
export const MAX_QUEUED_PODS = 100_000;
const BACKOFF_INITIAL_MS = 50;
const BACKOFF_MAX_MS = 10_000;
/** However sure the queue is that nothing has changed, it looks again after this long. */
const UNSCHEDULABLE_LIMIT_MS = 5 * 60_000;

interface Entry {
  pod: Pod;
  readonly order: number;
  attempts: number;
  /** Not before this moment, by the monotonic clock. */
  notBeforeMs: number;
  state:
    | { readonly type: "active" }
    | { readonly type: "back-off"; readonly cancel: CancelTimer }
    | {
        readonly type: "unschedulable";
        readonly wakesOn: ReadonlySet<ClusterChange>;
        readonly cancel: CancelTimer;
      }
    /** Being decided on; changes meanwhile are remembered. */
    | { readonly type: "in-flight"; readonly changes: Set<ClusterChange> };
}

/**
 * Pods without a node. Active ones are taken by priority, then by age; one that found no place
 * waits until something changes that its refusal depends on, and at least its back-off.
 */
export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #onActive: () => void;
  readonly #entries = new Map<string, Entry>();
  readonly #active = new ActiveHeap();
  #order = 0;
  /** Whether any pod has waited for others to be placed: most never do, and pods are many. */
  #awaitsPlacement = false;

  /** `onActive` is called when {@link pop} has something to give. */
  constructor(clock: Clock, onActive: () => void) {
    this.#clock = clock;
    this.#onActive = onActive;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A pod that is new, or changed in a way that may let it fit. False when the queue is full. */
  add(pod: Pod): boolean {
    const uid = pod.metadata.uid ?? "";
    const known = this.#entries.get(uid);
    if (known === undefined) {
      if (this.#entries.size >= MAX_QUEUED_PODS) return false;
      const state = { type: "active" } as const;
      const order = this.#order++;
      const entry: Entry = { pod, order, attempts: 0, notBeforeMs: 0, state };
      this.#entries.set(uid, entry);
      this.#activate(entry);
      return true;
    }
    known.pod = pod;
    if (known.state.type === "in-flight") known.state.changes.add("node-changed");
    else if (known.state.type === "unschedulable") this.#wake(known);
    return true;
  }

  /** The pod as it is now, when the change cannot let it fit. */
  refresh(pod: Pod): void {
    const known = this.#entries.get(pod.metadata.uid ?? "");
    if (known !== undefined) known.pod = pod;
  }

  /** The pod has a node, or is gone. */
  delete(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    if ("cancel" in entry.state) entry.state.cancel();
    this.#entries.delete(uid);
  }

  /** The next pod to decide on; it must come back by delete, {@link refused} or {@link failed}. */
  pop(): Pod | undefined {
    for (let entry = this.#active.pop(); entry !== undefined; entry = this.#active.pop()) {
      const current = this.#entries.get(entry.pod.metadata.uid ?? "");
      if (current !== entry || entry.state.type !== "active") continue;
      entry.attempts++;
      entry.state = { type: "in-flight", changes: new Set() };
      return entry.pod;
    }
    return undefined;
  }

  /** No node would take the pod: it waits for one of the changes. */
  refused(uid: string, wakesOn: ReadonlySet<ClusterChange>): void {
    const entry = this.#entries.get(uid);
    if (entry?.state.type !== "in-flight") return;
    if (wakesOn.has("pod-placed")) this.#awaitsPlacement = true;
    entry.notBeforeMs = this.#clock.monotonic() + this.#backoffMs(entry);
    const missed = [...entry.state.changes].some((change) => wakesOn.has(change));
    const cancel = this.#clock.after(UNSCHEDULABLE_LIMIT_MS, () => this.#wake(entry));
    entry.state = { type: "unschedulable", wakesOn, cancel };
    if (missed) this.#wake(entry);
  }

  /** The attempt failed for reasons of its own, such as a server that is away. */
  failed(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry?.state.type !== "in-flight") return;
    entry.notBeforeMs = this.#clock.monotonic() + this.#backoffMs(entry);
    this.#delay(entry);
  }

  /** Something changed in the cluster: what waited for that is tried again. */
  wake(change: ClusterChange): void {
    if (change === "pod-placed" && !this.#awaitsPlacement) return;
    for (const entry of this.#entries.values()) {
      if (entry.state.type === "in-flight") entry.state.changes.add(change);
      else if (entry.state.type === "unschedulable" && entry.state.wakesOn.has(change)) {
        this.#wake(entry);
      }
    }
  }

  /** Drops all timers. */
  close(): void {
    for (const uid of this.#entries.keys()) this.delete(uid);
  }

  #wake(entry: Entry): void {
    if (entry.state.type === "unschedulable") entry.state.cancel();
    if (entry.notBeforeMs <= this.#clock.monotonic()) this.#activate(entry);
    else this.#delay(entry);
  }

  #delay(entry: Entry): void {
    const delayMs = Math.max(0, entry.notBeforeMs - this.#clock.monotonic());
    const cancel = this.#clock.after(delayMs, () => this.#activate(entry));
    entry.state = { type: "back-off", cancel };
  }

  #activate(entry: Entry): void {
    entry.state = { type: "active" };
    this.#active.push(entry);
    this.#onActive();
  }

  #backoffMs(entry: Entry): number {
    return Math.min(BACKOFF_INITIAL_MS * 2 ** (entry.attempts - 1), BACKOFF_MAX_MS);
  }
}

/** A binary heap (Williams 1964): the highest priority first, the oldest among equals. */
class ActiveHeap {
  readonly #items: Entry[] = [];

  push(entry: Entry): void {
    const items = this.#items;
    items.push(entry);
    for (let at = items.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBefore(at, parent)) break;
      at = parent;
    }
  }

  pop(): Entry | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    items[0] = last;
    for (let at = 0; ;) {
      const left = at * 2 + 1;
      const right = left + 1;
      const child = right < items.length && this.#isBefore(right, left) ? right : left;
      if (child >= items.length || !this.#swapIfBefore(child, at)) break;
      at = child;
    }
    return top;
  }

  #swapIfBefore(child: number, parent: number): boolean {
    const items = this.#items;
    const [low, high] = [items[child], items[parent]];
    if (low === undefined || high === undefined || !this.#isBefore(child, parent)) return false;
    items[child] = high;
    items[parent] = low;
    return true;
  }

  #isBefore(a: number, b: number): boolean {
    const [first, second] = [this.#items[a], this.#items[b]];
    if (first === undefined || second === undefined) return false;
    const difference = (first.pod.spec?.priority ?? 0) - (second.pod.spec?.priority ?? 0);
    return difference === 0 ? first.order < second.order : difference > 0;
  }
}
