import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeCommands } from "./command-codec.ts";
import { SqliteState } from "./sqlite-state.ts";
import { StateFullError } from "./state-error.ts";
import { stateHash } from "./state-hash.ts";
import { StateMachine } from "./state-machine.ts";

const DISK_BYTES = 6 * 1024 * 1024;
const FILLER_STEP = 4_096;
const ROUNDS = 4;
const WRITES = 8_000;

/** A real file system of a few megabytes; only root may mount one. */
const directory = mkdtempSync(join(tmpdir(), "kubun-full-"));
const mounted =
  process.getuid?.() === 0 &&
  Bun.spawnSync({
    cmd: ["mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", directory],
    stderr: "ignore",
  }).success;

const filler = join(directory, "filler");

function fillDisk(): void {
  let text = "";
  try {
    for (;;) {
      text += "x".repeat(FILLER_STEP);
      writeFileSync(filler, text);
    }
  } catch {
    // Full: what is there takes the rest.
    writeFileSync(join(directory, "rest"), "");
  }
}

function freeDisk(): void {
  rmSync(filler, { force: true });
  rmSync(join(directory, "rest"), { force: true });
  rmSync(join(directory, "ballast"), { force: true });
}

afterAll(() => {
  // Lazily: a failed test may have left the state open.
  if (mounted) Bun.spawnSync({ cmd: ["umount", "--lazy", directory] });
  rmSync(directory, { recursive: true, force: true });
});

/** Updates of ten keys until the disk is full. @returns how many were applied */
function writeUntilFull(machine: StateMachine): number {
  for (let count = 0; count < WRITES; count++) {
    const key = `/k${count % 10}`;
    const value = new Uint8Array(700).fill(count);
    const current = machine.get(key);
    const data = encodeCommands([
      current === undefined
        ? { type: "create", key, value }
        : { type: "update", key, value, expected: current.modRevision },
    ]);
    try {
      machine.apply({ index: machine.appliedIndex + 1, term: 1, data });
    } catch (error) {
      expect(error).toBeInstanceOf(StateFullError);
      return count;
    }
  }
  return WRITES;
}

test.skipIf(!mounted)(
  "SqliteState: a full disk refuses, checkpoints later, and corrupts nothing",
  async () => {
    const path = join(directory, "state.db");
    const whenIdle = () => () => undefined;
    let storage = new SqliteState({ path, whenIdle });
    let machine = new StateMachine({ db: storage.db });
    const level = encodeCommands([{ type: "feature-level", level: 2 }]);
    machine.apply({ index: 1, term: 1, data: level });
    const exclusive = <Result>(work: () => Promise<Result>) => work();
    const outcomes: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // What frees the space later; in every other round the state itself takes the rest.
      writeFileSync(join(directory, "ballast"), new Uint8Array(DISK_BYTES / 2));
      if (round % 2 === 1) fillDisk();
      expect(writeUntilFull(machine)).toBeLessThan(WRITES);
      const hash = stateHash(machine);
      const stored = machine.storedIndex;
      expect(() => machine.flush()).toThrow(StateFullError);
      outcomes.push(await storage.checkpoint(exclusive));
      expect(new StateMachine({ db: storage.db }).appliedIndex).toBe(stored);
      expect(stateHash(machine)).toBe(hash);
      expect(machine.history.vacuum(1)).toBeOneOf(["done", "full", "more"]);
      const compact = encodeCommands([{ type: "compact", revision: machine.revision }]);
      freeDisk();
      outcomes.push(await storage.checkpoint(exclusive));
      machine.apply({ index: machine.appliedIndex + 1, term: 1, data: compact });
      while (machine.history.scavenge(machine.compactedRevision, 256) === "more");
      while (machine.history.vacuum(64) === "more");
      expect(await storage.checkpoint(exclusive)).toBe("complete");
      const after = stateHash(machine);
      await storage.close();
      storage = new SqliteState({ path, whenIdle });
      machine = new StateMachine({ db: storage.db });
      expect(stateHash(machine)).toBe(after);
      expect(String(storage.db.pragma("integrity_check", { simple: true }))).toBe("ok");
    }
    expect(outcomes).toContain("full");
    await storage.close();
  },
  30_000,
);
