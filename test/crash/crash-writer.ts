import { writeSync } from "node:fs";
import { silentLogger } from "../../src/lib/index.ts";
import { createDisk, systemClock, systemRandom } from "../../src/os/index.ts";
import { openStore } from "../../src/store/index.ts";

/*
 * A process to be killed: `bun crash-writer.ts DIRECTORY ROUND`. Its first line tells which keys it
 * found, `found KEY@REVISION …`; then a line for each acknowledged write: `KEY@REVISION`.
 */
const WRITERS = 16;
const KEYS_A_WRITER = 8;
const VALUE_BYTES = 1_024;
const STDOUT = 1;

const [directory = "", round = ""] = process.argv.slice(2);
const store = await openStore({
  directory,
  disk: createDisk(),
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  // Small bounds, so that kills meet checkpoints, new segments and dropped ones.
  limits: { segmentBytes: 256 * 1_024, housekeeper: { checkpointBytes: 512 * 1_024 } },
});

const found = store.list("").map((kv) => `${kv.key}@${kv.modRevision}`);
writeSync(STDOUT, `found ${found.join(" ")}\n`);

const value = new Uint8Array(VALUE_BYTES).fill(Number(round));

async function write(writer: number): Promise<never> {
  for (let number = 0; ; number++) {
    const key = `/${writer}/${number % KEYS_A_WRITER}`;
    const current = store.get(key);
    const kv =
      current === undefined
        ? await store.create(key, value)
        : await store.update(key, value, current.modRevision);
    writeSync(STDOUT, `${kv.key}@${kv.modRevision}\n`);
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
