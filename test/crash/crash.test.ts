import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomInteger, SeededRandom } from "../../src/lib/index.ts";

const KILLS = Number(process.env["KUBUN_CRASH_KILLS"] ?? 200);
/** Stores, each with its share of the kills, that live at the same time: most of it is waiting. */
const STORES = 2;
const SEED = Number(process.env["KUBUN_CRASH_SEED"] ?? 1);
/** Acknowledgements that a process may live to write before it is killed. */
const MAX_ACKNOWLEDGED = 400;
const TIMEOUT_MS = 180_000;

const writer = join(import.meta.dir, "crash-writer.ts");

/** Starts a writer, kills it after so many acknowledgements, and returns all lines it wrote. */
async function linesUntilKilled(directory: string, round: number, writes: number) {
  const child = Bun.spawn([process.execPath, writer, directory, String(round % 256)], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const decoder = new TextDecoder();
  let text = "";
  let lines = 0;
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    lines = text.split("\n").length - 1;
    // The found line is the first one; the kill then comes in the middle of whatever goes on.
    if (lines > writes) child.kill("SIGKILL");
  }
  await child.exited;
  if (child.signalCode !== "SIGKILL") {
    const reason = await new Response(child.stderr).text();
    throw new Error(`round ${round}: the writer ended by itself: ${reason}`);
  }
  return text.split("\n").slice(0, -1);
}

function parse(mark: string): [key: string, revision: number] {
  const [key = "", revision = ""] = mark.split("@");
  return [key, Number(revision)];
}

/** One store, killed again and again; gives how many writes it acknowledged. Throws on a loss. */
async function writesThroughKills(seed: number, kills: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "kubun-crash-"));
  const random = new SeededRandom(seed);
  const acknowledged = new Map<string, number>();
  let writes = 0;
  try {
    for (let round = 0; round < kills; round++) {
      const wanted = randomInteger(random, MAX_ACKNOWLEDGED);
      const [first = "", ...marks] = await linesUntilKilled(directory, round, wanted);
      const found = new Map(first.split(" ").slice(1).filter(Boolean).map(parse));
      for (const [key, revision] of acknowledged) {
        const now = found.get(key) ?? 0;
        if (now < revision) {
          const where = `seed ${seed}, round ${round}`;
          throw new Error(`${where}: ${key}@${revision} is lost, found @${now}`);
        }
      }
      for (const [key, revision] of marks.map(parse)) acknowledged.set(key, revision);
      writes += marks.length;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return writes;
}

describe("openStore", () => {
  test(
    "openStore: finds every acknowledged write of a process killed under load",
    async () => {
      const kills = Math.ceil(KILLS / STORES);
      const seeds = Array.from({ length: STORES }, (_, index) => SEED + index);
      const writes = await Promise.all(seeds.map((seed) => writesThroughKills(seed, kills)));
      for (const count of writes) expect(count).toBeGreaterThan(kills * 10);
    },
    TIMEOUT_MS,
  );
});
