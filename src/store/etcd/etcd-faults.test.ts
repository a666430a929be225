import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { silentLogger, SeededRandom } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { systemClock } from "../../os/index.ts";
import type { Member, MemberId, Revision, Store, StoreWatchEvent, Term } from "../index.ts";
import { StoreError } from "../index.ts";
import { etcdObstacle, spawnEtcd } from "../testing/spawn-etcd.ts";
import type { SpawnedEtcd } from "../testing/spawn-etcd.ts";
import { openEtcdStore } from "./open-etcd-store.ts";

const obstacle = etcdObstacle();
const value = new TextEncoder().encode("value");
const WRITES = 100;

describe.skipIf(obstacle !== undefined)("EtcdStore", () => {
  let etcd: SpawnedEtcd;
  let prefixes = 0;
  const open: Store[] = [];

  async function openServer(
    prefix: string,
    id: number,
    endpoints = etcd.endpoints,
  ): Promise<Store> {
    const self: Member = {
      id: id as MemberId,
      name: `server-${id}`,
      role: "voter",
      peerAddress: `127.0.0.1:${id}`,
      apiAddress: `https://127.0.0.1:${id}`,
    };
    const store = await openEtcdStore({
      endpoints,
      clock: systemClock,
      random: new SeededRandom(prefixes * 100 + id),
      logger: silentLogger,
      prefix,
      self,
    });
    open.push(store);
    return store;
  }

  function newPrefix(): string {
    return `/faults-${prefixes++}`;
  }

  /** Collects what a watch tells until it is stopped. */
  function follow(store: Store, after: Revision) {
    const stopping = new AbortController();
    const seen: StoreWatchEvent[] = [];
    const done = (async (): Promise<string | undefined> => {
      try {
        for await (const batch of store.watch("/", after, stopping)) seen.push(...batch);
        return undefined;
      } catch (error) {
        return error instanceof StoreError ? error.code : String(error);
      }
    })();
    return { seen, done, stop: () => stopping.abort() };
  }

  beforeAll(async () => {
    etcd = await spawnEtcd({ members: 3 });
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close()));
  });
  afterAll(() => etcd.stop());

  test("EtcdStore: one server leads, the others see its writes and may not write", async () => {
    const prefix = newPrefix();
    const one = await openServer(prefix, 1);
    const two = await openServer(prefix, 2);
    expect(one.leadership).toMatchObject({ self: true, leader: 1 as MemberId });
    expect(two.leadership).toEqual({ ...one.leadership, self: false });
    expect(two.membership.clusterId).toBe(one.membership.clusterId);
    const written = await one.create("/a", value);
    expect(await two.barrier()).toBeGreaterThanOrEqual(written.modRevision);
    expect(two.get("/a")?.modRevision).toBe(written.modRevision);
    expect(two.create("/b", value)).rejects.toThrow("member 1 leads");
    await eventually(() => one.membership.members().length === 2);
    expect(one.membership.members().map(({ name }) => name)).toEqual(["server-1", "server-2"]);
    expect(one.membership.remove(2 as MemberId)).rejects.toThrow("etcd");
  });

  test("EtcdStore: another server leads when the leader ends, and fences it", async () => {
    const prefix = newPrefix();
    const one = await openServer(prefix, 1);
    const two = await openServer(prefix, 2);
    const { term } = one.leadership;
    const terms: Term[] = [];
    two.onLeadership((leadership) => terms.push(leadership.term));
    await one.create("/a", value);
    await one.close();
    await eventually(() => two.leadership.self);
    expect(two.leadership.term).toBeGreaterThan(term);
    expect(two.get("/a")).toBeDefined();
    expect(two.create("/b", value, { term })).rejects.toMatchObject({ code: "not-leader" });
    const { modRevision } = await two.create("/b", value, { term: two.leadership.term });
    expect(two.get("/b")?.modRevision).toBe(modRevision);
    expect(terms.toSorted((a, b) => a - b)).toEqual(terms);
  });

  test("EtcdStore: what a leader sends that lost its key is not written", async () => {
    const prefix = newPrefix();
    const one = await openServer(prefix, 1);
    // Somebody else deletes the key; the write is on its way before the watch tells of it.
    const key = Buffer.from(`${prefix}/leader`).toString("base64");
    const gone = fetch(`${etcd.endpoints[0]}/v3/kv/deleterange`, {
      method: "POST",
      body: JSON.stringify({ key }),
    });
    const { term } = one.leadership;
    await gone;
    const late = await one.create("/late", value, { term }).then(
      () => "written",
      (error: StoreError) => error.code,
    );
    expect(late).toBe("not-leader");
    await eventually(() => one.leadership.self && one.leadership.term > term);
    expect(one.get("/late")).toBeUndefined();
  });

  test("EtcdStore: members of etcd may die: nothing is lost or comes twice", async () => {
    const store = await openServer(newPrefix(), 1);
    const watch = follow(store, store.revision);
    const acknowledged = new Set<string>();
    let unknown = 0;
    const write = async (index: number): Promise<void> => {
      const key = `/k${index}`;
      for (;;) {
        try {
          await store.create(key, value);
          acknowledged.add(key);
          return;
        } catch (error) {
          const { code } = error as StoreError;
          if (code === "key-exists") return;
          if (code === "unavailable") unknown++;
          else if (code !== "not-leader" && code !== "overloaded") throw error;
          await eventually(() => store.leadership.self, { deadlineMs: 20_000 });
        }
      }
    };
    for (let index = 0; index < WRITES; index++) {
      if (index === WRITES / 4) await etcd.kill(0);
      if (index === WRITES / 2) await etcd.restart(0);
      if (index === (WRITES * 3) / 4) await etcd.kill(1);
      await write(index);
    }
    await etcd.restart(1);
    await eventually(() => watch.seen.length >= WRITES);
    watch.stop();
    expect(await watch.done).toBeUndefined();
    const keys = watch.seen.map((event) => event.kv.key);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of acknowledged) expect(keys).toContain(key);
    expect(acknowledged.size + unknown).toBeGreaterThanOrEqual(WRITES);
    const revisions = watch.seen.map((event) => event.kv.modRevision);
    expect(revisions.toSorted((a, b) => a - b)).toEqual(revisions);
    expect(store.count("/k")).toBe(WRITES);
  }, 60_000);

  test("EtcdStore: a watch behind what memory has is told by etcd's history", async () => {
    const prefix = newPrefix();
    const first = await openServer(prefix, 1);
    const { revision } = first;
    const created = await first.create("/h/a", value);
    const updated = await first.update("/h/a", value, created.modRevision);
    await first.delete("/h/a", updated.modRevision);
    await first.close();
    const store = await openServer(prefix, 1);
    await eventually(() => store.leadership.self);
    const watch = follow(store, revision);
    await eventually(() => watch.seen.length === 3);
    await store.create("/h/b", value);
    await eventually(() => watch.seen.length === 4);
    watch.stop();
    const told = watch.seen.map(({ type, kv, previous }) => [type, kv.key, previous?.version]);
    expect(told).toEqual([
      ["put", "/h/a", undefined],
      ["put", "/h/a", 1],
      ["delete", "/h/a", 2],
      ["put", "/h/b", undefined],
    ]);
    await store.compact(store.revision);
    const late = follow(store, revision);
    expect(await late.done).toBe("compacted");
  });

  test("EtcdStore: values near the limit and pages of large ones come whole", async () => {
    const prefix = newPrefix();
    const store = await openServer(prefix, 1);
    const large = new Uint8Array(1024 * 1024).fill(7);
    for (let index = 0; index < 6; index++) await store.create(`/large/${index}`, large);
    const again = await openServer(prefix, 2);
    expect(again.list("/large/").map((kv) => kv.value.length)).toEqual(
      Array.from({ length: 6 }, () => large.length),
    );
    const past = await store.listAt("/large/", store.revision);
    expect(past).toHaveLength(6);
  });

  test("EtcdStore: a server of another cluster is refused", async () => {
    const prefix = newPrefix();
    const openAs = (clusterId: string): Promise<Store> =>
      openEtcdStore({
        endpoints: etcd.endpoints,
        clock: systemClock,
        random: new SeededRandom(5),
        logger: silentLogger,
        prefix,
        clusterId,
      });
    const store = await openAs("ours");
    expect(store.membership.clusterId).toBe("ours");
    await store.close();
    expect(openAs("theirs")).rejects.toThrow("etcd holds cluster ours");
    await (await openAs("ours")).close();
  });

  test("EtcdStore: without etcd it does not open", async () => {
    const opening = openServer(newPrefix(), 1, ["http://127.0.0.1:1"]);
    expect(opening).rejects.toThrow("does not answer");
  });
});
