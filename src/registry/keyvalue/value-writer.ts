import {
  conflict,
  isStatusError,
  notFound,
  serverTimeout,
  unprocessable,
} from "../../apimachinery/index.ts";
import { definitionOf } from "../lookup.ts";
import { KEY_VALUE_STORES } from "../../api/index.ts";
import { type KeyValue, type Revision, StoreError, type Term } from "../../store/index.ts";
import { assertNamespaceOpen } from "../admission/namespace-lifecycle.ts";
import { KeyTurns } from "../key-turns.ts";
import { latestState } from "../latest-state.ts";
import { MAX_WRITE_ATTEMPTS } from "../object-writer.ts";
import { refusalOf } from "../store-refusal.ts";
import type { ValueWriteOptions } from "./keyvalue-stores.ts";
import { KEYVALUE_RESOURCE, quotaOf } from "./namespace-quota.ts";
import { QuotaUse, type SetAside } from "./quota-use.ts";
import type { ReplicatedKeyValuesOptions } from "./replicated-key-values.ts";
import {
  assertKey,
  assertStoreName,
  assertValue,
  chargedBytes,
  createdMsOf,
  encodeValue,
  type StoreAddress,
  storeValues,
  valueOf,
} from "./value-key.ts";

/** The largest and smallest number that 64 bits with sign hold. */
const MAX_NUMBER = 2n ** 63n - 1n;
const MIN_NUMBER = -(2n ** 63n);
const NUMBER = /^-?\d{1,19}$/;
const RETRY_AFTER_SECONDS = 1;

/** What is to be under a key; undefined: nothing. */
type Decision = Uint8Array | undefined;

interface Write {
  readonly at: StoreAddress;
  readonly key: string;
  /** Looks at what is there; throws what refuses the write. */
  readonly decide: (present: KeyValue | undefined) => Decision;
  readonly term: Term;
}

/**
 * The writes of values. Writers of one key take turns, so that each decides over what the one
 * before left; the compare in the log holds whatever another leader may have done.
 */
export class ValueWriter {
  readonly #options: ReplicatedKeyValuesOptions;
  readonly #turns = new KeyTurns();
  #use: QuotaUse | undefined;

  constructor(options: ReplicatedKeyValuesOptions) {
    this.#options = options;
  }

  async set(
    at: StoreAddress,
    key: string,
    value: Uint8Array,
    { expected, term }: ValueWriteOptions,
  ): Promise<KeyValue> {
    assertValue(value);
    const decide = (present: KeyValue | undefined): Decision => {
      assertExpected(at, key, present, expected);
      return value;
    };
    return this.#write({ at, key, decide, term: this.#termOf(term) });
  }

  async delete(
    at: StoreAddress,
    key: string,
    { expected, term }: ValueWriteOptions,
  ): Promise<Revision> {
    const decide = (present: KeyValue | undefined): Decision => {
      if (present === undefined) throw noSuchKey(at, key);
      assertExpected(at, key, present, expected);
      return undefined;
    };
    return (await this.#write({ at, key, decide, term: this.#termOf(term) })).modRevision;
  }

  async increment(
    at: StoreAddress,
    key: string,
    delta: bigint,
    { expected, term }: ValueWriteOptions,
  ): Promise<{ readonly value: bigint; readonly revision: Revision }> {
    let value = 0n;
    const decide = (present: KeyValue | undefined): Decision => {
      assertExpected(at, key, present, expected);
      value = sumOf(key, present, delta);
      return Buffer.from(value.toString());
    };
    const { modRevision } = await this.#write({ at, key, decide, term: this.#termOf(term) });
    return { value, revision: modRevision };
  }

  /** Throws 503 unless this server leads in that term. */
  #termOf(term: Term | undefined): Term {
    return this.#options.leading.in(term).term;
  }

  async #write(write: Write): Promise<KeyValue> {
    const { at, key } = write;
    assertStoreName(at.store);
    assertKey(key);
    const stored = storeValues(at) + key;
    return this.#turns.run(stored, async () => {
      for (let attempt = 0; attempt < MAX_WRITE_ATTEMPTS; attempt++) {
        const done = await this.#decided(stored, () => this.#attempt(write, stored));
        if (done !== "again") return done;
      }
      throw serverTimeout(KEYVALUE_RESOURCE, "update", RETRY_AFTER_SECONDS);
    });
  }

  /** A refusal counts only if what was looked at is the latest: this leader may be one no more. */
  async #decided(
    stored: string,
    attempt: () => Promise<KeyValue | "again">,
  ): Promise<KeyValue | "again"> {
    const { store } = this.#options;
    const seen = store.get(stored);
    try {
      return await attempt();
    } catch (error) {
      if (!isStatusError(error) || error.code >= 500) throw error;
      await latestState(store);
      if (store.get(stored) === seen) throw error;
      return "again";
    }
  }

  async #attempt(write: Write, stored: string): Promise<KeyValue | "again"> {
    const { store, clock } = this.#options;
    const present = store.get(stored);
    const decision = write.decide(present);
    const aside = this.#setAside(write, present, decision);
    const { term } = write;
    try {
      let done: KeyValue;
      if (decision === undefined) {
        done = await store.delete(stored, revisionOf(present), { term });
      } else {
        const createdMs = present === undefined ? clock.now() : createdMsOf(present);
        const value = encodeValue(decision, createdMs);
        done =
          present === undefined
            ? await store.create(stored, value, { term })
            : await store.update(stored, value, present.modRevision, { term });
      }
      aside.committed();
      return done;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === "unavailable") aside.unknown();
      else aside.refused();
      if (wasRaced(error)) return "again";
      throw refusalOf(error, KEYVALUE_RESOURCE, write.at.store);
    }
  }

  #setAside(write: Write, present: KeyValue | undefined, decision: Decision): SetAside {
    const { lookup, store } = this.#options;
    const { at, key, term } = write;
    // It may have waited for its turn: what a former term knows of the room would undo the new one.
    this.#options.leading.in(term);
    if (present === undefined) this.#assertOpen(at);
    if (this.#use?.term !== term) this.#use = new QuotaUse(term, store);
    const before = present === undefined ? 0 : chargedBytes(key, valueOf(present).length);
    const after = decision === undefined ? 0 : chargedBytes(key, decision.length);
    const keys = Number(decision !== undefined) - Number(present !== undefined);
    const change = { bytes: after - before, keys };
    const grows = change.bytes > 0 || change.keys > 0;
    // What gets less needs no quota, not even one that can be read.
    const quota = grows ? quotaOf(at.namespace, lookup) : { bytes: 0, keys: 0 };
    return this.#use.setAside(at.namespace, change, quota);
  }

  /** Throws unless the namespace is there and takes new content. */
  #assertOpen({ namespace, store: name }: StoreAddress): void {
    const object = { metadata: { namespace, name } };
    assertNamespaceOpen(definitionOf(KEY_VALUE_STORES), object, this.#options.lookup);
  }
}

function revisionOf(present: KeyValue | undefined): Revision {
  return present?.modRevision ?? (0 as Revision);
}

function assertExpected(
  at: StoreAddress,
  key: string,
  present: KeyValue | undefined,
  expected: Revision | undefined,
): void {
  const actual = revisionOf(present);
  if (expected === undefined || expected === actual) return;
  const why = `key ${JSON.stringify(key)} is at resourceVersion ${actual}, not ${expected}`;
  throw conflict(KEYVALUE_RESOURCE, at.store, why);
}

/** Another write came between; it is looked at anew. */
function wasRaced({ code }: StoreError): boolean {
  return code === "key-exists" || code === "key-missing" || code === "revision-mismatch";
}

/** The 404 of a key, which names it. */
export function noSuchKey({ store }: StoreAddress, key: string): Error {
  return notFound(KEYVALUE_RESOURCE, `${store}/${key}`);
}

function sumOf(key: string, present: KeyValue | undefined, delta: bigint): bigint {
  const text = present === undefined ? "0" : Buffer.from(valueOf(present)).toString("latin1");
  const number = NUMBER.test(text) ? BigInt(text) : undefined;
  if (number === undefined || number > MAX_NUMBER || number < MIN_NUMBER) {
    throw unprocessable(`the value of ${JSON.stringify(key)} is no decimal number of 64 bits`);
  }
  const sum = number + delta;
  if (sum <= MAX_NUMBER && sum >= MIN_NUMBER) return sum;
  const why = `${number} + ${delta} is no number of 64 bits`;
  throw unprocessable(`the value of ${JSON.stringify(key)} cannot be incremented: ${why}`);
}
