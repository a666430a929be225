import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { assert } from "../../lib/index.ts";
import type { KeyValue, LeaseId, Revision, StoreErrorCode, StoreWatchEvent } from "../index.ts";
import { StoreError } from "../index.ts";
import type { Store, Term } from "../index.ts";

/** A new, empty store that leads, and how time goes for it. */
export interface ContractStore {
  readonly store: Store;
  /** Lets time pass until the promise is settled. */
  settle<T>(work: Promise<T>): Promise<T>;
  /** Lets this much time pass for the leases. */
  pass(ms: number): Promise<void>;
  /** Closes the store and everything under it. */
  end(): Promise<void>;
}

const LEASE_MS = 2_000;

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function text({ value }: KeyValue): string {
  return new TextDecoder().decode(value);
}

function told({ type, kv, previous }: StoreWatchEvent): string {
  const before = previous === undefined ? "" : ` was ${text(previous)}`;
  return `${type} ${kv.key} ${text(kv)}${before}`;
}

/** What every Store does, whatever is under it. */
export function describeStoreContract(name: string, open: () => Promise<ContractStore>): void {
  const fixture = new ContractFixture();
  describe(`the Store contract on ${name}`, () => {
    beforeEach(async () => fixture.begin(await open()));
    afterEach(() => fixture.end());
    describeWrites(fixture);
    describeReads(fixture);
    describeWatches(fixture);
    describeLeadership(fixture);
    describeLeases(fixture);
  });
}

/** The store of the present test. */
class ContractFixture {
  #given: ContractStore | undefined;
  #watching = new AbortController();

  begin(given: ContractStore): void {
    this.#given = given;
    this.#watching = new AbortController();
  }

  async end(): Promise<void> {
    this.endWatches();
    await this.#present.end();
  }

  get store(): Store {
    return this.#present.store;
  }

  settle<T>(work: Promise<T>): Promise<T> {
    return this.#present.settle(work);
  }

  pass(ms: number): Promise<void> {
    return this.#present.pass(ms);
  }

  endWatches(): void {
    this.#watching.abort();
  }

  async refusal(work: Promise<unknown>): Promise<StoreError> {
    const outcome = await this.settle(
      work.then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    if (outcome instanceof StoreError) return outcome;
    throw new Error(`no refusal: ${String(outcome)}`);
  }

  async refusalCode(work: Promise<unknown>): Promise<StoreErrorCode> {
    return (await this.refusal(work)).code;
  }

  /** The next `count` events under a prefix. */
  events(prefix: string, after: Revision, count: number): Promise<StoreWatchEvent[]> {
    const { signal } = this.#watching;
    const seen: StoreWatchEvent[] = [];
    const read = async (): Promise<StoreWatchEvent[]> => {
      for await (const batch of this.store.watch(prefix, after, { signal })) {
        seen.push(...batch);
        if (seen.length >= count) break;
      }
      return seen;
    };
    return this.settle(read());
  }

  get #present(): ContractStore {
    assert(this.#given !== undefined, "a test has begun");
    return this.#given;
  }
}

function describeWrites(f: ContractFixture): void {
  test("Store: a get after a write sees it, as the same object", async () => {
    const created = await f.settle(f.store.create("/a", bytes("one")));
    expect(f.store.get("/a")).toBe(created);
    expect(created).toMatchObject({ key: "/a", version: 1 });
    expect(created.createRevision).toBe(created.modRevision);
    expect(f.store.revision).toBe(created.modRevision);
    const updated = await f.settle(f.store.update("/a", bytes("two"), created.modRevision));
    expect(f.store.get("/a")).toBe(updated);
    expect(updated).toMatchObject({ version: 2, createRevision: created.createRevision });
    expect(updated.modRevision).toBeGreaterThan(created.modRevision);
    const gone = await f.settle(f.store.delete("/a", updated.modRevision));
    expect(f.store.get("/a")).toBeUndefined();
    expect(text(gone)).toBe("two");
    expect(gone.modRevision).toBeGreaterThan(updated.modRevision);
    expect(f.store.revision).toBe(gone.modRevision);
  });

  test("Store: refusals carry their code and what the key holds", async () => {
    const created = await f.settle(f.store.create("/a", bytes("one")));
    const exists = await f.refusal(f.store.create("/a", bytes("two")));
    expect(exists).toMatchObject({ code: "key-exists" });
    expect(exists.current).toBe(created);
    const stale = (created.modRevision - 1) as Revision;
    const mismatch = await f.refusal(f.store.update("/a", bytes("two"), stale));
    expect(mismatch).toMatchObject({ code: "revision-mismatch" });
    expect(mismatch.current).toBe(created);
    expect(await f.refusalCode(f.store.delete("/a", stale))).toBe("revision-mismatch");
    const latest = f.store.revision;
    expect(await f.refusalCode(f.store.update("/none", bytes(""), latest))).toBe("key-missing");
    expect(await f.refusalCode(f.store.delete("/none", latest))).toBe("key-missing");
    expect(await f.refusalCode(f.store.create("/big", new Uint8Array(2_000_000)))).toBe(
      "too-large",
    );
    expect(f.store.revision).toBe(created.modRevision);
  });

  test("Store: of writes that expect the same revision one wins", async () => {
    const { modRevision } = await f.settle(f.store.create("/one", bytes("0")));
    const attempts = Array.from({ length: 16 }, (_, index) =>
      f.store.update("/one", bytes(String(index)), modRevision).then(
        () => "won",
        (error: StoreError) => error.code,
      ),
    );
    const outcomes = await f.settle(Promise.all(attempts));
    expect(outcomes.filter((outcome) => outcome === "won")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "revision-mismatch")).toHaveLength(15);
    const creations = Array.from({ length: 16 }, () =>
      f.store.create("/two", bytes("")).then(
        () => "won",
        (error: StoreError) => error.code,
      ),
    );
    const created = await f.settle(Promise.all(creations));
    expect(created.filter((outcome) => outcome === "won")).toHaveLength(1);
    expect(created.filter((outcome) => outcome === "key-exists")).toHaveLength(15);
  });
}

function describeReads(f: ContractFixture): void {
  test("Store: lists are in key order, by prefix, limited, and behind a key", async () => {
    for (const key of ["/b/2", "/a/1", "/b/1", "/b/10", "/ba", "/b"]) {
      await f.settle(f.store.create(key, bytes(key)));
    }
    const keys = (list: readonly KeyValue[]): string[] => list.map((kv) => kv.key);
    expect(keys(f.store.list("/b"))).toEqual(["/b", "/b/1", "/b/10", "/b/2", "/ba"]);
    expect(keys(f.store.list("/b/"))).toEqual(["/b/1", "/b/10", "/b/2"]);
    expect(keys(f.store.list("/b/", { limit: 2 }))).toEqual(["/b/1", "/b/10"]);
    expect(keys(f.store.list("/b/", { after: "/b/10" }))).toEqual(["/b/2"]);
    expect(f.store.count("/b/")).toBe(3);
    expect(f.store.count("/none")).toBe(0);
  });

  test("Store: keys and values come back as they were", async () => {
    const value = Uint8Array.from({ length: 256 }, (_, index) => index);
    const key = "/ä/日本/🙂";
    const created = await f.settle(f.store.create(key, value));
    expect(created.value).toEqual(value);
    expect(f.store.list("/ä/")).toEqual([created]);
    const empty = await f.settle(f.store.create("/empty", new Uint8Array()));
    expect(empty.value.length).toBe(0);
  });

  test("Store: the past is there until it is compacted", async () => {
    const first = await f.settle(f.store.create("/p/a", bytes("one")));
    const second = await f.settle(f.store.create("/p/b", bytes("one")));
    const third = await f.settle(f.store.update("/p/a", bytes("two"), first.modRevision));
    await f.settle(f.store.delete("/p/b", second.modRevision));
    const past = await f.settle(f.store.listAt("/p/", second.modRevision));
    expect(past.map((kv) => `${kv.key} ${text(kv)}`)).toEqual(["/p/a one", "/p/b one"]);
    const behind = { after: "/p/a", limit: 1 };
    const rest = await f.settle(f.store.listAt("/p/", second.modRevision, behind));
    expect(rest.map((kv) => kv.key)).toEqual(["/p/b"]);
    expect(await f.settle(f.store.getAt("/p/b", first.modRevision))).toBeUndefined();
    const then = await f.settle(f.store.getAt("/p/a", second.modRevision));
    expect(then && text(then)).toBe("one");
    const ahead = (f.store.revision + 10) as Revision;
    expect(await f.refusalCode(f.store.getAt("/p/a", ahead))).toBe("future-revision");
    expect(await f.refusalCode(f.store.compact(ahead))).toBe("future-revision");
    await f.settle(f.store.compact(third.modRevision));
    expect(f.store.compactedRevision).toBe(third.modRevision);
    const kept = await f.settle(f.store.getAt("/p/b", third.modRevision));
    expect(kept && text(kept)).toBe("one");
    expect(await f.refusalCode(f.store.listAt("/p/", first.modRevision))).toBe("compacted");
  });
}

function describeWatches(f: ContractFixture): void {
  test("Store: a watch gives the past behind its revision, then what happens", async () => {
    const before = await f.settle(f.store.create("/w/a", bytes("0")));
    const created = await f.settle(f.store.create("/w/b", bytes("1")));
    await f.settle(f.store.create("/other", bytes("x")));
    const past = await f.events("/w/", before.modRevision, 1);
    expect(past.map(told)).toEqual(["put /w/b 1"]);
    const next = f.events("/w/", created.modRevision, 3);
    const updated = await f.settle(f.store.update("/w/b", bytes("2"), created.modRevision));
    const gone = await f.settle(f.store.delete("/w/b", updated.modRevision));
    await f.settle(f.store.create("/w/c", bytes("3")));
    const seen = await next;
    expect(seen.map(told)).toEqual(["put /w/b 2 was 1", "delete /w/b 2 was 2", "put /w/c 3"]);
    expect(seen[1]?.kv.modRevision).toBe(gone.modRevision);
  });

  test("Store: every watch sees each change of its prefix once and in order", async () => {
    const { revision } = f.store;
    const all = f.events("/x", revision, 60);
    const half = f.events("/x/1", revision, 30);
    const writes = Array.from({ length: 60 }, (_, index) =>
      f.store.create(`/x/${index % 2}/${index}`, bytes(String(index))),
    );
    const written = await f.settle(Promise.all(writes));
    const revisions = written.map((kv) => kv.modRevision).sort((a, b) => a - b);
    expect((await all).map((event) => event.kv.modRevision)).toEqual(revisions);
    expect((await half).every((event) => event.kv.key.startsWith("/x/1/"))).toBe(true);
    expect(new Set((await half).map((event) => event.kv.key)).size).toBe(30);
  });

  test("Store: a watch refuses compacted and future revisions, and ends", async () => {
    const first = await f.settle(f.store.create("/c/a", bytes("1")));
    const second = await f.settle(f.store.update("/c/a", bytes("2"), first.modRevision));
    await f.settle(f.store.compact(second.modRevision));
    expect(await f.refusalCode(f.events("/c/", first.modRevision, 1))).toBe("compacted");
    const ahead = (f.store.revision + 10) as Revision;
    expect(await f.refusalCode(f.events("/c/", ahead, 1))).toBe("future-revision");
    const silent = f.events("/c/", f.store.revision, 1);
    f.endWatches();
    expect(await f.settle(silent)).toEqual([]);
  });
}

function describeLeadership(f: ContractFixture): void {
  test("Store: a write of another term is refused", async () => {
    const { leadership } = f.store;
    expect(leadership).toMatchObject({ self: true, leader: f.store.membership.self });
    const { term } = leadership;
    const written = await f.settle(f.store.create("/f", bytes("1"), { term }));
    const { modRevision } = written;
    for (const other of [term - 1, term + 1] as Term[]) {
      const created = f.store.create("/g", bytes("1"), { term: other });
      expect(await f.refusalCode(created)).toBe("not-leader");
      const deleted = f.store.delete("/f", modRevision, { term: other });
      expect(await f.refusalCode(deleted)).toBe("not-leader");
    }
    expect(f.store.get("/f")).toBe(written);
    expect(f.store.get("/g")).toBeUndefined();
  });

  test("Store: a barrier is at what was acknowledged before it", async () => {
    const written = await f.settle(f.store.create("/b", bytes("1")));
    const barriers = await f.settle(Promise.all([f.store.barrier(), f.store.barrier()]));
    for (const revision of barriers) expect(revision).toBeGreaterThanOrEqual(written.modRevision);
    await f.settle(f.store.reached(written.modRevision));
    expect(f.store.mode).toBe("read-write");
  });

  test("Store: a closed one refuses, and ends its watches", async () => {
    const ended = f.refusalCode(f.events("/z", f.store.revision, 1));
    await f.settle(f.store.close());
    expect(await ended).toBe("closed");
    expect(await f.refusalCode(f.store.create("/z", bytes("1")))).toBe("closed");
    expect(await f.refusalCode(f.store.barrier())).toBe("closed");
    expect(f.store.mode).toBe("closed");
  });
}

function describeLeases(f: ContractFixture): void {
  test("Store: a lease takes its keys along, and an update without it detaches one", async () => {
    const lease = await f.settle(f.store.grantLease(60_000));
    const held = await f.settle(f.store.create("/l/a", bytes("1"), { lease }));
    const freed = await f.settle(f.store.create("/l/b", bytes("1"), { lease }));
    expect(held.lease).toBe(lease);
    const free = await f.settle(f.store.update("/l/b", bytes("2"), freed.modRevision));
    expect(free.lease).toBeUndefined();
    await f.settle(f.store.renewLease(lease));
    const gone = f.events("/l/", f.store.revision, 1);
    await f.settle(f.store.revokeLease(lease));
    expect((await gone).map(told)).toEqual(["delete /l/a 1 was 1"]);
    expect(f.store.list("/l/").map((kv) => kv.key)).toEqual(["/l/b"]);
    expect(await f.refusalCode(f.store.renewLease(lease))).toBe("lease-missing");
    expect(await f.refusalCode(f.store.revokeLease(lease))).toBe("lease-missing");
    const unknown = { lease: 77 as LeaseId };
    expect(await f.refusalCode(f.store.create("/l/c", bytes(""), unknown))).toBe("lease-missing");
  });

  test("Store: a lease that is not renewed ends", async () => {
    const lease = await f.settle(f.store.grantLease(LEASE_MS));
    const { modRevision } = await f.settle(f.store.create("/e", bytes("1"), { lease }));
    const gone = f.events("/e", modRevision, 1);
    await f.pass(LEASE_MS + 100);
    expect((await gone).map(told)).toEqual(["delete /e 1 was 1"]);
    expect(f.store.get("/e")).toBeUndefined();
    expect(await f.refusalCode(f.store.renewLease(lease))).toBe("lease-missing");
  });
}
