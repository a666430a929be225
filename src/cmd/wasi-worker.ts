import { runWorker } from "../runtime/wasi/worker/worker.ts";

const [controlPath, expected] = process.argv.slice(2);
if (controlPath === undefined) {
  process.stderr.write("usage: bun src/cmd/wasi-worker.ts CONTROL-SOCKET [COMPONENTS]\n");
  process.exit(2);
}
// A JSON list of the components that are likely to be started.
runWorker(controlPath, expected === undefined ? {} : { components: JSON.parse(expected) });
