import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom, silentLogger } from "../../src/lib/index.ts";
import { createDisk, systemClock } from "../../src/os/index.ts";
import {
  openStore,
  readMemberIdentity,
  resetGroup,
  restoreSnapshot,
} from "../../src/store/index.ts";
import type { GroupOptions, Member, MemberId, Store } from "../../src/store/index.ts";
import { MemoryNetwork } from "../../src/store/testing/memory-network.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";

const value = new Uint8Array([1, 2, 3]);
const directories: string[] = [];

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "kubun-reset-"));
  directories.push(directory);
  return directory;
}

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const memberOf = (id: MemberId): Member => ({
  id,
  name: `server-${id}`,
  role: "voter",
  peerAddress: `127.0.0.1:${id}`,
  apiAddress: "",
});

const disk = createDisk();

/** Snapshots of a real store are files: the network copies them. */
const files = {
  read: async (path: string) => new Uint8Array(await Bun.file(path).arrayBuffer()),
  write: async (path: string, bytes: Uint8Array) => {
    await Bun.write(path, bytes);
  },
  remove: (path: string) => disk.remove(path),
};

function open(
  network: MemoryNetwork,
  directory: string,
  group: Pick<GroupOptions, "clusterId" | "start"> & { readonly id: MemberId },
): Promise<Store> {
  const { id, clusterId, start } = group;
  return openStore({
    directory,
    disk,
    clock: systemClock,
    random: new SeededRandom(id),
    logger: silentLogger,
    group: { self: memberOf(id), clusterId, start, transport: network.transport(id, files) },
  });
}

const one = 1 as MemberId;
const two = 2 as MemberId;

describe("resetGroup", () => {
  test("resetGroup: a survivor goes on alone, and takes in new members only", async () => {
    const network = new MemoryNetwork();
    const [first, second] = [newDirectory(), newDirectory()];
    const founder = await open(network, first, {
      id: one,
      clusterId: "old",
      start: { type: "bootstrap" },
    });
    await founder.membership.add(memberOf(two));
    const survivor = await open(network, second, {
      id: two,
      clusterId: "old",
      start: { type: "join" },
    });
    await eventually(() => founder.membership.members()[1]?.role === "voter");
    for (let number = 0; number < 50; number++) await founder.create(`/${number}`, value);
    await founder.close();
    const seen = survivor.revision;
    await survivor.close();
    const options = {
      directory: second,
      disk,
      clock: systemClock,
      random: new SeededRandom(9),
      logger: silentLogger,
    };
    const outcome = await resetGroup(options);
    expect(outcome.revision).toBeGreaterThan(seen);
    expect(outcome.memberId).not.toBe(two);
    const again = await open(network, second, {
      id: outcome.memberId,
      clusterId: outcome.clusterId,
      start: { type: "restart" },
    });
    expect(again.leadership.self).toBe(true);
    expect(again.count("/")).toBe(50);
    expect(again.membership.members()).toEqual([memberOf(outcome.memberId)]);
    const kv = await again.create("/new", value);
    expect(kv.modRevision).toBeGreaterThan(outcome.revision);
    const old = await readMemberIdentity({ disk, directory: first });
    const wrong = open(network, first, {
      id: old?.memberId ?? one,
      clusterId: outcome.clusterId,
      start: { type: "restart" },
    });
    expect(await wrong.catch((error: unknown) => String(error))).toContain("belongs to member 1");
    await again.close();
  }, 20_000);

  test("restoreSnapshot: one server is restored, and the others join it", async () => {
    const network = new MemoryNetwork();
    const lone = await open(network, newDirectory(), {
      id: one,
      clusterId: "old",
      start: { type: "bootstrap" },
    });
    await lone.create("/a", value);
    const snapshot = join(newDirectory(), "snapshot.db");
    await lone.snapshot(snapshot);
    await lone.close();
    const restored = newDirectory();
    const { revision } = await restoreSnapshot({ snapshot, directory: restored, disk });
    const id = 11 as MemberId;
    const clusterId = "new";
    const store = await open(network, restored, { id, clusterId, start: { type: "bootstrap" } });
    expect(store.get("/a")?.version).toBe(1);
    expect(store.revision).toBe(revision);
    await store.membership.add(memberOf(12 as MemberId));
    const joined = await open(network, newDirectory(), {
      id: 12 as MemberId,
      clusterId,
      start: { type: "join" },
    });
    await eventually(() => joined.get("/a") !== undefined);
    await eventually(() => store.membership.members()[1]?.role === "voter");
    await store.create("/b", value);
    await joined.close();
    await store.close();
  }, 20_000);
});
