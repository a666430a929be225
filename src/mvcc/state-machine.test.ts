import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import type { Command } from "./command.ts";
import { encodeCommands } from "./command-codec.ts";
import { MemoryState } from "./memory-state.ts";
import type { LeaseId, Revision } from "./model.ts";
import type { PendingLimits } from "./pending-entries.ts";
import { StateFullError } from "./state-error.ts";
import { stateHash } from "./state-hash.ts";
import { StateMachine } from "./state-machine.ts";

const group = { clusterId: "c1", members: new Uint8Array([1, 2, 3]) };
const at = (machine: StateMachine) => ({ index: machine.appliedIndex + 1, term: 1 });

function leveled(
  level = 2,
  pending?: PendingLimits,
): { storage: MemoryState; machine: StateMachine } {
  const storage = new MemoryState();
  const machine = new StateMachine({ db: storage.db, pending });
  applyAll(machine, [{ type: "feature-level", level }]);
  return { storage, machine };
}

function applyAll(machine: StateMachine, commands: readonly Command[]) {
  return machine.apply({ ...at(machine), data: encodeCommands(commands) });
}

function randomCommand(random: SeededRandom, machine: StateMachine): Command {
  const key = `/k${randomInteger(random, 6)}`;
  const value = random.bytes(randomInteger(random, 300));
  const leases = machine.leases();
  const lease = leases[randomInteger(random, leases.length + 1)]?.id;
  const expected = machine.get(key)?.modRevision ?? (0 as Revision);
  const attached = lease === undefined ? {} : { lease };
  switch (randomInteger(random, 7)) {
    case 0:
      return { type: "grant-lease", ttlMs: 1_000 };
    case 1:
      return { type: "revoke-lease", lease: lease ?? (99 as LeaseId) };
    case 2:
      return { type: "delete", key, expected };
    case 3:
    case 4:
      return { type: "update", key, value, expected, ...attached };
    default:
      return { type: "create", key, value, ...attached };
  }
}

describe("StateMachine", () => {
  test("StateMachine: keeps the group of the last config entry, as part of the state", () => {
    const { storage, machine } = leveled();
    const before = stateHash(machine);
    const index = machine.appliedIndex;
    expect(machine.group.clusterId).toBe("");
    machine.applyConfig(at(machine), group);
    expect(machine.appliedIndex).toBe(index + 1);
    expect(machine.group).toEqual(group);
    expect(stateHash(machine)).not.toBe(before);
    const reopened = new StateMachine({ db: storage.db });
    expect(reopened.group).toEqual(group);
    expect(stateHash(reopened)).toBe(stateHash(machine));
    machine.applyConfig(at(machine), { ...group, members: new Uint8Array([9]) });
    expect(stateHash(new StateMachine({ db: storage.db }))).toBe(stateHash(machine));
    expect(stateHash(machine)).not.toBe(stateHash(reopened));
  });

  test("StateMachine: refuses a config entry below its level, and another group's name", () => {
    const old = leveled(1);
    expect(() => old.machine.applyConfig(at(old.machine), group)).toThrow("feature level 2, not 1");
    const { machine } = leveled();
    machine.applyConfig(at(machine), group);
    const renamed = { ...group, clusterId: "c2" };
    expect(() => machine.applyConfig(at(machine), renamed)).toThrow("the group is c1");
    expect(machine.group).toEqual(group);
  });

  test("StateMachine: open gives the same state, with turns for others", async () => {
    const { storage, machine } = leveled();
    for (let number = 0; number < 3_000; number++) {
      applyAll(machine, [{ type: "create", key: `/${number}`, value: new Uint8Array([number]) }]);
    }
    machine.flush();
    let pauses = 0;
    const pause = () => {
      pauses += 1;
      return Promise.resolve();
    };
    const opened = await StateMachine.open(storage, { pause });
    expect(stateHash(opened)).toBe(stateHash(machine));
    expect(pauses).toBe(2);
  });

  for (const entries of [1, 5]) {
    const name = `an entry without space leaves nothing, and applies again later (${entries} wait)`;
    test(`StateMachine: ${name}`, () => {
      const random = new SeededRandom(8);
      const { storage, machine } = leveled(2, { entries, bytes: 16_000 });
      const twin = leveled().machine;
      const hashes = new Map([[twin.appliedIndex, stateHash(twin)]]);
      /** What a crash would leave is the state behind an entry, and knows which one. */
      const checkFile = () => {
        const left = new StateMachine({ db: storage.db });
        expect(left.appliedIndex).toBe(machine.storedIndex);
        if (left.appliedIndex > 0)
          expect(stateHash(left)).toBe(hashes.get(left.appliedIndex) ?? "");
      };
      let refusals = 0;
      for (let round = 0; round < 150; round++) {
        const count = 1 + randomInteger(random, 5);
        const commands = Array.from({ length: count }, () => randomCommand(random, machine));
        // Rows of their own pages, so that every transaction that changes something needs space.
        commands.push({ type: "create", key: `/${round}`, value: new Uint8Array(5_000) });
        const entry = { ...at(machine), data: encodeCommands(commands) };
        const expected = twin.apply(entry);
        hashes.set(twin.appliedIndex, stateHash(twin));
        const before = stateHash(machine);
        const full = randomInteger(random, 2) === 0;
        const pages = Number(storage.db.pragma("page_count", { simple: true }));
        if (full) storage.db.pragma(`max_page_count = ${pages}`);
        const applied = attempt(() => machine.apply(entry));
        if (applied instanceof StateFullError) {
          expect(stateHash(machine)).toBe(before);
          expect(() => machine.apply(entry)).toThrow(StateFullError);
          refusals += 1;
        } else expect(applied).toEqual(expected);
        if (full) checkFile();
        if (full && machine.storedIndex < machine.appliedIndex) {
          expect(() => machine.flush()).toThrow(StateFullError);
        }
        storage.db.pragma("max_page_count = 1073741823");
        if (applied instanceof StateFullError) expect(machine.apply(entry)).toEqual(expected);
        expect(machine.window.lastRevision).toBe(machine.revision);
      }
      machine.flush();
      expect(stateHash(machine)).toBe(stateHash(twin));
      expect(stateHash(new StateMachine({ db: storage.db }))).toBe(stateHash(machine));
      expect(refusals).toBeGreaterThan(12);
    });
  }

  test("StateMachine: the past is whole while the newest entries wait for the file", () => {
    const { storage, machine } = leveled(2, { entries: 4, bytes: 1_000_000 });
    const twin = leveled(2, { entries: 1, bytes: 0 }).machine;
    const behind = new Set<number>();
    for (let number = 0; number < 30; number++) {
      const key = `/${number % 3}`;
      const expected = machine.get(key)?.modRevision ?? (0 as Revision);
      const value = new Uint8Array([number]);
      const command: Command =
        number < 3 ? { type: "create", key, value } : { type: "update", key, value, expected };
      for (const each of [machine, twin]) applyAll(each, [command]);
      behind.add(machine.appliedIndex - machine.storedIndex);
      for (let after = 0 as Revision; after <= machine.revision; after++) {
        expect(machine.history.row(after)).toEqual(twin.history.row(after));
        for (const limit of [1, 3, 100])
          expect(machine.history.page(after, limit)).toEqual(twin.history.page(after, limit));
      }
    }
    expect(behind).toEqual(new Set([0, 1, 2, 3]));
    applyAll(machine, [{ type: "compact", revision: machine.revision }]);
    applyAll(twin, [{ type: "compact", revision: twin.revision }]);
    for (const each of [machine, twin])
      expect(each.history.scavenge(each.compactedRevision, 100)).toBe("done");
    const reopened = new StateMachine({ db: storage.db });
    expect(stateHash(reopened)).toBe(stateHash(twin));
    expect(reopened.history.page(0 as Revision, 100)).toHaveLength(3);
  });
});

function attempt<Result>(work: () => Result): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
