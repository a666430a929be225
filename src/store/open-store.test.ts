import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { createDisk } from "../os/index.ts";
import { openStore } from "./open-store.ts";
import type { OpenStoreOptions } from "./open-store.ts";
import type { MemberId, Store } from "./index.ts";
import { diskFiles } from "./testing/disk-files.ts";
import { FaultyDisk } from "./testing/faulty-disk.ts";
import { MemoryNetwork } from "./testing/memory-network.ts";
import { memberOf, TEST_CLUSTER } from "./testing/test-group.ts";

const directory = mkdtempSync(join(tmpdir(), "kubun-open-store-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Opens a member that joins, on a disk whose n-th rename from now on fails. */
function openJoining(failingRename: number): Promise<Store> {
  const disk = createDisk();
  let renames = 0;
  const random = new SeededRandom(1);
  const files = diskFiles(new FaultyDisk(random));
  const options: OpenStoreOptions = {
    directory,
    disk: {
      ...disk,
      rename: (from, to) =>
        ++renames === failingRename
          ? Promise.reject(new Error("the power went"))
          : disk.rename(from, to),
    },
    clock: new ManualClock(),
    random,
    logger: silentLogger,
    group: {
      self: memberOf(2),
      clusterId: TEST_CLUSTER,
      transport: new MemoryNetwork().transport(2 as MemberId, files),
      start: { type: "join", members: [memberOf(1), memberOf(2)] },
    },
  };
  return openStore(options);
}

describe("openStore", () => {
  test("openStore: a member that stopped while it began to join begins again", async () => {
    const stopped: number[] = [];
    for (let failing = 1; failing <= 5; failing++) {
      try {
        await (await openJoining(failing)).close();
      } catch (error) {
        expect(String(error)).toContain("the power went");
        stopped.push(failing);
      }
    }
    expect(stopped).toContain(1);
    const store = await openJoining(0);
    expect(store.leadership.self).toBe(false);
    await store.close();
  });
});
