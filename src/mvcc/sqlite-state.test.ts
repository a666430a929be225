import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeCommands } from "./command-codec.ts";
import { incomingFile } from "./install-file.ts";
import { MemoryState } from "./memory-state.ts";
import type { StateFiles } from "./memory-state.ts";
import { SqliteState } from "./sqlite-state.ts";
import { StateFileError } from "./state-error.ts";
import { stateHash } from "./state-hash.ts";
import { StateMachine } from "./state-machine.ts";

const group = { clusterId: "c1", members: new Uint8Array([7, 7]) };
let directory = "";
let opened: SqliteState[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kubun-state-"));
  opened = [];
});
afterEach(async () => {
  for (const state of opened) await state.close();
  rmSync(directory, { recursive: true, force: true });
});

function open(name: string): SqliteState {
  const state = new SqliteState({
    path: join(directory, name),
    whenIdle: () => () => undefined,
  });
  opened.push(state);
  return state;
}

const at = (machine: StateMachine) => ({ index: machine.appliedIndex + 1, term: 3 });

function fill(machine: StateMachine, keys: number, bytes = 500): void {
  if (machine.featureLevel < 2) {
    machine.apply({ ...at(machine), data: encodeCommands([{ type: "feature-level", level: 2 }]) });
    machine.applyConfig(at(machine), group);
  }
  const from = machine.revision;
  for (let number = 1; number <= keys; number++) {
    const value = new Uint8Array(bytes).fill(number);
    const key = `/${from + number}`;
    machine.apply({ ...at(machine), data: encodeCommands([{ type: "create", key, value }]) });
  }
  machine.flush();
}

/** A peer's state, and the file that it sends. */
async function peerSnapshot(keys: number): Promise<{ path: string; hash: string; index: number }> {
  const storage = open("peer.db");
  const machine = new StateMachine({ db: storage.db });
  fill(machine, keys);
  const path = join(directory, "received.db");
  const point = await storage.snapshot(path);
  expect(point).toEqual({
    appliedIndex: machine.appliedIndex,
    appliedTerm: 3,
    featureLevel: 2,
    ...group,
  });
  return { path, hash: stateHash(machine), index: machine.appliedIndex };
}

describe("SqliteState", () => {
  test("SqliteState: installs what a peer sent, over a state with a write-ahead log", async () => {
    const sent = await peerSnapshot(200);
    const storage = open("own.db");
    const old = new StateMachine({ db: storage.db });
    fill(old, 50, 3_000);
    expect(storage.writeAhead().bytes).toBeGreaterThan(0);
    const point = await storage.install(sent.path);
    expect(point.appliedIndex).toBe(sent.index);
    const machine = await StateMachine.open(storage);
    expect(stateHash(machine)).toBe(sent.hash);
    expect(machine.installedIndex).toBe(sent.index);
    expect(machine.group).toEqual(group);
    expect(existsSync(sent.path)).toBe(false);
    fill(machine, 5);
    const exclusive = <Result>(work: () => Promise<Result>) => work();
    expect(await storage.checkpoint(exclusive)).toBe("complete");
    const again = new StateMachine({ db: open("own.db").db });
    expect(stateHash(again)).toBe(stateHash(machine));
  });

  test("SqliteState: moves the write-ahead log, and a checkpoint empties it", async () => {
    const storage = open("own.db");
    const machine = new StateMachine({ db: storage.db });
    fill(machine, 200);
    const before = storage.writeAhead();
    expect(before.unmovedBytes).toBe(before.bytes);
    expect(await storage.moveWriteAhead()).toBe("complete");
    expect(storage.writeAhead()).toEqual({ bytes: before.bytes, unmovedBytes: 0 });
    await storage.checkpoint((work) => work());
    fill(machine, 1);
    expect(storage.writeAhead().bytes).toBeLessThan(before.bytes / 10);
  });

  test("SqliteState: refuses a damaged, a foreign and a newer file, and goes on", async () => {
    const sent = await peerSnapshot(200);
    const storage = open("own.db");
    const machine = new StateMachine({ db: storage.db });
    fill(machine, 20);
    const hash = stateHash(machine);
    const foreign = join(directory, "foreign.db");
    writeFileSync(foreign, "no database".repeat(1_000));
    const damaged = join(directory, "damaged.db");
    copyFileSync(sent.path, damaged);
    const bytes = await Bun.file(damaged).bytes();
    bytes.fill(0xff, 8_192, 40_000);
    writeFileSync(damaged, bytes);
    const newer = join(directory, "newer.db");
    const future = open("newer.db");
    future.db.exec("UPDATE replicated SET feature_level = 99");
    await future.close();
    opened = opened.filter((state) => state !== future);
    for (const path of [foreign, damaged, newer]) {
      const refusal = await storage.install(path).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(StateFileError);
      fill(machine, 1);
    }
    expect(stateHash(machine)).not.toBe(hash);
    expect(stateHash(new StateMachine({ db: storage.db }))).toBe(stateHash(machine));
  });

  test("SqliteState: an install that a crash interrupted ends at the next open", async () => {
    const sent = await peerSnapshot(100);
    const storage = open("own.db");
    fill(new StateMachine({ db: storage.db }), 40, 3_000);
    const own = join(directory, "own.db");
    // As a killed process leaves them: the old file, its write-ahead log, and the decision.
    const left = mkdtempSync(join(directory, "left-"));
    for (const suffix of ["", "-wal", "-shm"])
      copyFileSync(own + suffix, join(left, `own.db${suffix}`));
    const received = join(directory, "copy.db");
    copyFileSync(sent.path, received);
    await storage.install(received);
    copyFileSync(own, incomingFile(join(left, "own.db")));
    for (const gone of [[], ["-wal"], ["-wal", "-shm"]]) {
      const place = mkdtempSync(join(directory, "crashed-"));
      for (const name of readdirSync(left)) copyFileSync(join(left, name), join(place, name));
      for (const suffix of gone) rmSync(join(place, `own.db${suffix}`));
      const again = new SqliteState({
        path: join(place, "own.db"),
        whenIdle: () => () => undefined,
      });
      opened.push(again);
      const machine = new StateMachine({ db: again.db });
      expect(stateHash(machine)).toBe(sent.hash);
      expect(machine.installedIndex).toBe(sent.index);
      expect(String(again.db.pragma("integrity_check", { simple: true }))).toBe("ok");
      expect(existsSync(incomingFile(join(place, "own.db")))).toBe(false);
    }
  });

  test("SqliteState: writers go on while a snapshot is written", async () => {
    const storage = open("own.db");
    const machine = new StateMachine({ db: storage.db });
    fill(machine, 2_000, 2_000);
    const path = join(directory, "copy.db");
    const copying = storage.snapshot(path);
    fill(machine, 100);
    const point = await copying;
    expect(point.appliedIndex).toBeLessThanOrEqual(machine.appliedIndex);
    const copy = new StateMachine({ db: open("copy.db").db });
    expect(copy.appliedIndex).toBe(point.appliedIndex);
  });
});

describe("MemoryState", () => {
  test("MemoryState: snapshot and install go through the files it is given", async () => {
    const disk = new Map<string, Uint8Array>();
    const files: StateFiles = {
      read: (path) => Promise.resolve(disk.get(path) ?? new Uint8Array()),
      write: (path, bytes) => Promise.resolve(void disk.set(path, bytes.slice())),
      remove: (path) => Promise.resolve(void disk.delete(path)),
    };
    const peer = new MemoryState(undefined, files);
    const sent = new StateMachine({ db: peer.db });
    fill(sent, 30);
    await peer.snapshot("/s");
    const own = new MemoryState(undefined, files);
    fill(new StateMachine({ db: own.db }), 3);
    await own.install("/s");
    expect(stateHash(new StateMachine({ db: own.db }))).toBe(stateHash(sent));
    const rebooted = new StateMachine({ db: new MemoryState(own.image(), files).db });
    expect(stateHash(rebooted)).toBe(stateHash(sent));
    expect(rebooted.installedIndex).toBe(sent.appliedIndex);
    expect(disk.size).toBe(0);
  });
});
