import type { Clock, Logger, Random } from "../../lib/index.ts";
import { StoreError } from "../../mvcc/index.ts";
import type { KeyValue, LeaseId, Revision, StoreWatchEvent } from "../../mvcc/index.ts";
import { notLeaderError } from "../proposals.ts";
import { MAX_KEY_LENGTH, MAX_VALUE_BYTES } from "../raft-store.ts";
import { RevisionWaiters } from "../revision-waiters.ts";
import type {
  Leadership,
  Membership,
  PutOptions,
  RangeOptions,
  Store,
  StoreMode,
  WriteOptions,
} from "../store.ts";
import { storeErrorOf } from "./etcd-client.ts";
import type { EtcdClient } from "./etcd-client.ts";
import { readPage } from "./etcd-mirror.ts";
import type { EtcdMirror } from "./etcd-mirror.ts";
import { LEADER_KEY } from "./etcd-session.ts";
import type { EtcdSession } from "./etcd-session.ts";
import { watchEtcd } from "./etcd-watcher.ts";
import {
  decodeText,
  encodeBytes,
  encodeText,
  endOfPrefix,
  keyBehind,
  keyValueOf,
  revisionOf,
} from "./etcd-wire.ts";
import type { EtcdRange, EtcdTxn } from "./etcd-wire.ts";

export interface EtcdStoreParts {
  readonly client: EtcdClient;
  readonly mirror: EtcdMirror;
  readonly session: EtcdSession;
  readonly membership: Membership;
  readonly waiters: RevisionWaiters;
  /** Called once with each step of the mirror. */
  readonly steps: Set<() => void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Ends what runs in the background. */
  readonly closed: AbortController;
}

/** Writes sent and not answered; more are refused. */
export const MAX_WRITES_UNDER_WAY = 4_096;
const PAGE_KEYS = 500;
const MIN_LEASE_MS = 1_000;
/** Names of leases are ours to choose; these fit a safe integer. */
const LEASE_BYTES = 6;
/** A watch that did not tell of a revision by then is taken for dead. */
const SILENT_WATCH_MS = 2_000;

/** What a write does in its transaction, and what the key has to be before it. */
interface Write {
  readonly key: string;
  readonly expected: Revision | 0;
  readonly term: number | undefined;
  readonly does: object;
}

/** The Store over an external etcd cluster: reads from the mirror, writes by transactions. */
export class EtcdStore implements Store {
  readonly #parts: EtcdStoreParts;
  #underWay = 0;
  /** The barrier that has not been sent yet: everybody who comes until then shares it. */
  #nextBarrier: Promise<Revision> | undefined;
  #presentBarrier: Promise<unknown> = Promise.resolve();

  constructor(parts: EtcdStoreParts) {
    this.#parts = parts;
  }

  get revision(): Revision {
    return this.#parts.mirror.revision;
  }

  get compactedRevision(): Revision {
    return this.#parts.mirror.compactedRevision;
  }

  get mode(): StoreMode {
    return this.#parts.closed.signal.aborted ? "closed" : "read-write";
  }

  get leadership(): Leadership {
    return this.#parts.session.leadership;
  }

  onLeadership(listener: (leadership: Leadership) => void): () => void {
    return this.#parts.session.listen(listener);
  }

  get membership(): Membership {
    return this.#parts.membership;
  }

  /** A linearizable read tells the latest revision; all that come before it is sent share it. */
  barrier(): Promise<Revision> {
    this.#nextBarrier ??= this.#presentBarrier.then(() => {
      this.#nextBarrier = undefined;
      const sent = this.#readRevision();
      this.#presentBarrier = sent.catch(() => undefined);
      return sent;
    });
    return this.#nextBarrier;
  }

  async reached(revision: Revision): Promise<void> {
    this.#checkOpen();
    const { waiters, mirror, clock } = this.#parts;
    if (mirror.revision >= revision) return;
    const cancel = clock.after(SILENT_WATCH_MS, () => mirror.rewatch());
    try {
      await waiters.reached(revision);
    } finally {
      cancel();
    }
  }

  get(key: string): KeyValue | undefined {
    return this.#parts.mirror.keys.get(key);
  }

  list(prefix: string, options?: RangeOptions): readonly KeyValue[] {
    return this.#parts.mirror.keys.list(prefix, options);
  }

  count(prefix: string): number {
    return this.#parts.mirror.keys.count(prefix);
  }

  async getAt(key: string, revision: Revision): Promise<KeyValue | undefined> {
    this.#checkPast(revision);
    const current = this.get(key);
    if (current !== undefined && current.modRevision <= revision) return current;
    const body = { key: this.#encoded(key), revision: String(revision) };
    const answer = await this.#read<EtcdRange>("/v3/kv/range", body);
    const [raw] = answer.kvs ?? [];
    return raw === undefined ? undefined : keyValueOf(key, raw);
  }

  async listAt(
    prefix: string,
    revision: Revision,
    options: RangeOptions = {},
  ): Promise<readonly KeyValue[]> {
    this.#checkPast(revision);
    const { mirror, client } = this.#parts;
    const { after, limit = Infinity } = options;
    const start = mirror.stateKey(after !== undefined && after >= prefix ? after : prefix);
    let from = after !== undefined && after >= prefix ? keyBehind(start) : encodeText(start);
    const end = endOfPrefix(mirror.stateKey(prefix));
    const found: KeyValue[] = [];
    const cut = mirror.stateKey("").length;
    while (found.length < limit) {
      const wanted = Math.min(PAGE_KEYS, limit - found.length);
      const page = await readPage(client, { from, end, limit: wanted, revision }).catch(
        (error: unknown) => Promise.reject(this.#refusal(error)),
      );
      for (const raw of page.kvs ?? []) {
        const kv = keyValueOf(decodeText(raw.key).slice(cut), raw);
        const present = this.get(kv.key);
        found.push(present?.modRevision === kv.modRevision ? present : kv);
      }
      const last = page.kvs?.at(-1);
      if (page.more !== true || last === undefined) break;
      from = keyBehind(decodeText(last.key));
    }
    return found;
  }

  async create(key: string, value: Uint8Array, options: PutOptions = {}): Promise<KeyValue> {
    checkSize(key, value);
    const does = this.#put(key, value, options);
    return this.#write({ key, expected: 0, term: options.term, does });
  }

  async update(
    key: string,
    value: Uint8Array,
    expected: Revision,
    options: PutOptions = {},
  ): Promise<KeyValue> {
    checkSize(key, value);
    const does = this.#put(key, value, options);
    return this.#write({ key, expected, term: options.term, does });
  }

  async delete(key: string, expected: Revision, options: WriteOptions = {}): Promise<KeyValue> {
    const does = { request_delete_range: { key: this.#encoded(key) } };
    return this.#write({ key, expected, term: options.term, does });
  }

  watch(
    prefix: string,
    after: Revision,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<readonly StoreWatchEvent[]> {
    const { client, mirror, closed } = this.#parts;
    return watchEtcd({
      client,
      mirror,
      prefix,
      after,
      signal: options.signal,
      closed: closed.signal,
      reached: (revision) => this.reached(revision),
      nextStep: (signals) => this.#nextStep(signals),
    });
  }

  async compact(revision: Revision): Promise<void> {
    this.#checkPast(revision);
    await this.#send("/v3/kv/compaction", { revision: String(revision) });
    this.#parts.mirror.compactedTo(revision);
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    const { random } = this.#parts;
    const seconds = Math.ceil(Math.max(MIN_LEASE_MS, ttlMs) / 1000);
    const bytes = random.bytes(LEASE_BYTES);
    const id = (bytes.reduce((sum, byte) => sum * 256 + byte, 0) + 1) as LeaseId;
    await this.#send("/v3/lease/grant", { ID: String(id), TTL: String(seconds) });
    return id;
  }

  async renewLease(id: LeaseId): Promise<void> {
    const answer = (await this.#send("/v3/lease/keepalive", { ID: String(id) })) as {
      result?: { TTL?: string };
    };
    if (Number(answer.result?.TTL ?? 0) > 0) return;
    throw new StoreError("lease-missing", `lease ${id} does not exist`);
  }

  async revokeLease(id: LeaseId): Promise<void> {
    const answer = await this.#send("/v3/lease/revoke", { ID: String(id) });
    await this.reached(revisionOf((answer as EtcdRange).header));
  }

  snapshot(): Promise<void> {
    const message = "the state is in etcd: save it with etcdctl snapshot save";
    return Promise.reject(new StoreError("read-only", message));
  }

  async close(): Promise<void> {
    const { session, waiters, closed } = this.#parts;
    if (closed.signal.aborted) return;
    closed.abort();
    waiters.close();
    await session.end();
  }

  #put(key: string, value: Uint8Array, { lease }: PutOptions): object {
    return {
      request_put: {
        key: this.#encoded(key),
        value: encodeBytes(value),
        ...(lease === undefined ? {} : { lease: String(lease) }),
      },
    };
  }

  /** One transaction: it leads still, the key is what is expected, then the write. */
  async #write({ key, expected, term, does }: Write): Promise<KeyValue> {
    const { leadership } = this;
    const fence = term ?? leadership.term;
    this.#checkOpen();
    if (!leadership.self || fence !== leadership.term) {
      throw notLeaderError(leadership.leader ?? 0);
    }
    const own = this.#encoded(key);
    const leader = encodeText(this.#parts.mirror.controlKey(LEADER_KEY));
    const answer = (await this.#send("/v3/kv/txn", {
      compare: [
        { key: leader, target: "CREATE", create_revision: String(fence) },
        { key: own, target: "MOD", mod_revision: String(expected) },
      ],
      success: [does],
      failure: [
        { request_range: { key: own } },
        { request_range: { key: leader, keys_only: true } },
      ],
    })) as EtcdTxn;
    if (answer.succeeded !== true) throw await this.#explain(answer, { key, expected, fence });
    const revision = revisionOf(answer.header);
    await this.reached(revision);
    return this.#written(key, revision);
  }

  #written(key: string, revision: Revision): KeyValue {
    const present = this.get(key);
    if (present?.modRevision === revision) return present;
    const event = this.#parts.mirror.events.find(key, revision);
    if (event !== undefined) return event.kv;
    throw new StoreError("unavailable", `${key} was written, and changed before anybody looked`);
  }

  async #explain(
    answer: EtcdTxn,
    write: { key: string; expected: Revision | 0; fence: number },
  ): Promise<StoreError> {
    const [own, leader] = (answer.responses ?? []).map((part) => part.response_range?.kvs?.[0]);
    if (Number(leader?.create_revision ?? 0) !== write.fence) {
      return notLeaderError(0);
    }
    const { key, expected } = write;
    if (own === undefined) return new StoreError("key-missing", `${key} does not exist`);
    const raw = keyValueOf(key, own);
    // Whoever reads after this refusal must see why.
    await this.reached(raw.modRevision);
    const present = this.get(key);
    const current = present?.modRevision === raw.modRevision ? present : raw;
    return expected === 0
      ? new StoreError("key-exists", `${key} exists`, { current })
      : new StoreError(
          "revision-mismatch",
          `${key} is at revision ${current.modRevision}, not ${expected}`,
          { current },
        );
  }

  async #send(path: string, body: object): Promise<unknown> {
    this.#checkOpen();
    if (this.#underWay >= MAX_WRITES_UNDER_WAY) {
      const message = `${MAX_WRITES_UNDER_WAY} writes are under way already`;
      throw new StoreError("overloaded", message);
    }
    this.#underWay += 1;
    try {
      return await this.#parts.client.call(path, body, { repeatable: false });
    } catch (error) {
      throw this.#refusal(error);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #read<T>(path: string, body: object): Promise<T> {
    try {
      return (await this.#parts.client.call(path, body, { repeatable: true })) as T;
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  async #readRevision(): Promise<Revision> {
    this.#checkOpen();
    const key = encodeText(this.#parts.mirror.controlKey(LEADER_KEY));
    const answer = await this.#read<EtcdRange>("/v3/kv/range", { key, count_only: true });
    const revision = revisionOf(answer.header);
    await this.reached(revision);
    return this.revision;
  }

  #refusal(error: unknown): StoreError {
    if (this.#parts.closed.signal.aborted) return closed();
    return storeErrorOf(error);
  }

  #checkPast(revision: Revision): void {
    this.#checkOpen();
    if (revision > this.revision) {
      const message = `revision ${revision} is ahead of ${this.revision}`;
      throw new StoreError("future-revision", message);
    }
    if (revision >= this.compactedRevision) return;
    const message = `revision ${revision} is compacted (to ${this.compactedRevision})`;
    throw new StoreError("compacted", message);
  }

  #checkOpen(): void {
    if (this.#parts.closed.signal.aborted) throw closed();
  }

  #encoded(key: string): string {
    return encodeText(this.#parts.mirror.stateKey(key));
  }

  #nextStep(signals: readonly AbortSignal[]): Promise<void> {
    if (signals.some((signal) => signal.aborted)) return Promise.resolve();
    const { steps } = this.#parts;
    return new Promise((resolve) => {
      const done = (): void => {
        steps.delete(done);
        for (const signal of signals) signal.removeEventListener("abort", done);
        resolve();
      };
      steps.add(done);
      for (const signal of signals) signal.addEventListener("abort", done);
    });
  }
}

function closed(): StoreError {
  return new StoreError("closed", "the store is closed");
}

function checkSize(key: string, value: Uint8Array): void {
  if (key.length > MAX_KEY_LENGTH) {
    const message = `the key has ${key.length} characters, at most ${MAX_KEY_LENGTH} are allowed`;
    throw new StoreError("too-large", message);
  }
  if (value.length <= MAX_VALUE_BYTES) return;
  const given = `the value of ${key} has ${value.length} bytes`;
  throw new StoreError("too-large", `${given}, at most ${MAX_VALUE_BYTES} are allowed`);
}
