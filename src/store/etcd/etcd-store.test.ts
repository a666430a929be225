import { afterAll, beforeAll, describe } from "bun:test";
import { silentLogger, SeededRandom } from "../../lib/index.ts";
import { systemClock } from "../../os/index.ts";
import { etcdObstacle, spawnEtcd } from "../testing/spawn-etcd.ts";
import type { SpawnedEtcd } from "../testing/spawn-etcd.ts";
import { describeStoreContract } from "../testing/store-contract.ts";
import { openEtcdStore } from "./open-etcd-store.ts";

const obstacle = etcdObstacle();
if (obstacle !== undefined) console.warn(`skipped: ${obstacle}`);

describe.skipIf(obstacle !== undefined)("openEtcdStore", () => {
  let etcd: SpawnedEtcd;
  let prefixes = 0;

  beforeAll(async () => {
    etcd = await spawnEtcd();
  });
  afterAll(() => etcd.stop());

  describeStoreContract("etcd", async () => {
    const store = await openEtcdStore({
      endpoints: etcd.endpoints,
      clock: systemClock,
      random: new SeededRandom(prefixes),
      logger: silentLogger,
      prefix: `/test-${prefixes++}`,
    });
    return {
      store,
      settle: (work) => work,
      // Etcd's own clock runs.
      pass: () => Promise.resolve(),
      end: () => store.close(),
    };
  });
});
