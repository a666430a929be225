import { describe, expect, test } from "bun:test";
import { drainMicrotasks, randomInteger, SeededRandom } from "../lib/index.ts";
import type { MemberId } from "../raft/index.ts";
import { TestGroup } from "./testing/test-group.ts";
import type { Left } from "./testing/test-group.ts";

const SEEDS = 20;
const ROUNDS = 60;
const MEMBERS = 3;

/** Small, so that a short life rolls, checkpoints, drops, and sends state by wire. */
const limits = {
  segmentBytes: 4_096,
  housekeeper: {
    checkpointBytes: 64 * 1_024,
    retention: { maxEntries: 6, maxBytes: 4_000 },
  },
};
/** So many entries, at most, that a killed member's file does not have. */
const PENDING = 6;

interface Run {
  readonly group: TestGroup;
  readonly random: SeededRandom;
  /** Keys whose creation was acknowledged. */
  readonly acknowledged: Set<string>;
  readonly down: Map<number, Left>;
  writes: number;
}

/** One thing that happens, drawn from the seed. */
async function happen(run: Run): Promise<void> {
  const { group, random, down } = run;
  const id = (1 + randomInteger(random, MEMBERS)) as MemberId;
  switch (randomInteger(random, 11)) {
    case 0:
      if (down.size === 0) down.set(id, group.crash(id, random.float() < 0.5 ? "kill" : "power"));
      return;
    case 1:
      for (const [lost, left] of down) await group.restart(lost, left);
      down.clear();
      return;
    case 2:
      group.network.cut([...group.members.keys()][0] ?? id, id);
      return;
    case 3:
      group.network.isolate(id);
      return;
    case 4:
    case 5:
      group.network.heal();
      return;
    case 6:
      group.members.get(id)?.disk.fill();
      return;
    case 7:
      for (const { disk } of group.members.values()) disk.free();
      return;
    default:
      await group.pass(randomInteger(random, 1_500));
  }
}

function write(run: Run): void {
  const { group, acknowledged } = run;
  for (const { store } of group.members.values()) {
    if (!store.leadership.self) continue;
    const key = `/${run.writes++}`;
    store.create(key, new Uint8Array(200)).then(
      () => acknowledged.add(key),
      () => undefined,
    );
  }
}

describe("openStore with a group", () => {
  test("openStore: nothing acknowledged is lost, and all agree in the end", async () => {
    let acknowledged = 0;
    let snapshots = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        const group = await TestGroup.of(MEMBERS, {
          seed,
          limits: { ...limits, pending: { entries: 1 + (seed % PENDING), bytes: 4_096 } },
        });
        await group.pass(6_000);
        const random = new SeededRandom(seed * 7_919);
        const run: Run = { group, random, acknowledged: new Set(), down: new Map(), writes: 0 };
        for (let round = 0; round < ROUNDS; round++) {
          for (let count = randomInteger(random, 6); count > 0; count--) write(run);
          await drainMicrotasks();
          await happen(run);
        }
        group.network.heal();
        for (const { disk } of group.members.values()) disk.free();
        for (const [lost, left] of run.down) await group.restart(lost, left);
        await group.pass(5_000);
        await group.until("somebody leads", () => group.findLeader() !== undefined);
        await group.during(group.leader().store.create("/end", new Uint8Array(1)));
        await group.pass(5_000);
        for (const { store } of group.members.values()) {
          await group.during(store.barrier());
          for (const key of run.acknowledged) {
            if (store.get(key) === undefined)
              throw new Error(`${key} was acknowledged and is lost`);
          }
        }
        const hashes = await group.hashes();
        expect(new Set(hashes).size).toBe(1);
        expect([...group.members.values()].flatMap(({ fatal }) => fatal)).toEqual([]);
        acknowledged += run.acknowledged.size;
        snapshots += group.network.snapshots;
        await group.close();
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
    // The seeds must have reached what they are for.
    expect(acknowledged).toBeGreaterThan(SEEDS * 10);
    expect(snapshots).toBeGreaterThan(SEEDS * (MEMBERS - 1));
  }, 120_000);
});
