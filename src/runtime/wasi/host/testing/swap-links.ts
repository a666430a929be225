import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { workerData } from "node:worker_threads";

/**
 * The other side of a rename race: swaps the directory `swapped` and the link `link` of a volume
 * as fast as it can, until the process that started it ends this thread.
 */
const { root, ready, stop } = workerData as {
  readonly root: string;
  readonly ready: string;
  readonly stop: SharedArrayBuffer;
};
const flag = new Int32Array(stop);
const [swapped, link, away] = ["swapped", "link", "away"].map((name) => join(root, name)) as [
  string,
  string,
  string,
];

writeFileSync(ready, "");
while (Atomics.load(flag, 0) === 0) {
  renameSync(swapped, away);
  renameSync(link, swapped);
  renameSync(swapped, link);
  renameSync(away, swapped);
}
