import { silentLogger } from "../../lib/index.ts";
import { openImageStore } from "../image-store.ts";
import { EMPTY_MODULE } from "./image-fixtures.ts";

/**
 * Pushes modules until it is killed, and prints each name once its push was acknowledged:
 * `bun push-forever.ts DIRECTORY PREFIX`.
 */
const [directory = "", prefix = ""] = process.argv.slice(2);
const clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: () => () => undefined,
};
const store = openImageStore({ directory, logger: silentLogger, clock });
for (let count = 0; ; count++) {
  const name = `${prefix}-${count}:v1`;
  // A custom section of its own makes each module different.
  const section = new TextEncoder().encode(name);
  const custom = [0, section.length + 1, 0, ...section];
  await store.pushModule(name, new Uint8Array([...EMPTY_MODULE, ...custom]));
  process.stdout.write(`${name}\n`);
}
