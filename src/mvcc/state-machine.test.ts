import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import type { Command } from "./command.ts";
import { encodeCommands } from "./command-codec.ts";
import { MemoryState } from "./memory-state.ts";
import type { LeaseId, Revision } from "./model.ts";
import { StateFullError } from "./state-error.ts";
import { stateHash } from "./state-hash.ts";
import { StateMachine } from "./state-machine.ts";

const group = { clusterId: "c1", members: new Uint8Array([1, 2, 3]) };
const at = (machine: StateMachine) => ({ index: machine.appliedIndex + 1, term: 1 });

function leveled(level = 2): { storage: MemoryState; machine: StateMachine } {
  const storage = new MemoryState();
  const machine = new StateMachine({ db: storage.db });
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
    let pauses = 0;
    const pause = () => {
      pauses += 1;
      return Promise.resolve();
    };
    const opened = await StateMachine.open(storage, { pause });
    expect(stateHash(opened)).toBe(stateHash(machine));
    expect(pauses).toBe(2);
  });

  test("StateMachine: an entry without space leaves nothing, and applies again later", () => {
    const random = new SeededRandom(8);
    const { storage, machine } = leveled();
    const twin = leveled().machine;
    let refusals = 0;
    for (let round = 0; round < 400; round++) {
      const count = 1 + randomInteger(random, 5);
      const commands = Array.from({ length: count }, () => randomCommand(random, machine));
      // Rows of their own pages, so that every entry that changes something needs space.
      commands.push({ type: "create", key: `/${round}`, value: new Uint8Array(5_000) });
      const entry = { ...at(machine), data: encodeCommands(commands) };
      const expected = twin.apply(entry);
      if (randomInteger(random, 2) === 0) {
        const before = stateHash(machine);
        const pages = Number(storage.db.pragma("page_count", { simple: true }));
        storage.db.pragma(`max_page_count = ${pages}`);
        expect(() => machine.apply(entry)).toThrow(StateFullError);
        expect(stateHash(machine)).toBe(before);
        expect(stateHash(new StateMachine({ db: storage.db }))).toBe(before);
        storage.db.pragma("max_page_count = 1073741823");
        refusals += 1;
      }
      expect(machine.apply(entry)).toEqual(expected);
      expect(machine.window.lastRevision).toBe(machine.revision);
    }
    expect(stateHash(machine)).toBe(stateHash(twin));
    expect(stateHash(new StateMachine({ db: storage.db }))).toBe(stateHash(machine));
    expect(refusals).toBeGreaterThan(100);
  });
});
