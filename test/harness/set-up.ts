import { setDefaultTimeout } from "bun:test";
import { join } from "node:path";

/**
 * Longest a test may take unless it says otherwise: real processes on a busy machine are slow.
 * Workers of `--parallel` hear it at their first file only, so that package.json says it too.
 */
const DEFAULT_TIMEOUT_MS = 60_000;

setDefaultTimeout(DEFAULT_TIMEOUT_MS);
// All servers of all tests share what a first start makes: it takes a second of computing.
process.env["KUBUN_WORKER_CODE"] ??= join(
  import.meta.dir,
  "../../node_modules/.cache/kubun-worker",
);
// Servers of tests keep off the machine's own network: tests of containers ask for one by the flag.
process.env["KUBUN_CONTAINER_RUNTIME_ENDPOINT"] ??= "none";
