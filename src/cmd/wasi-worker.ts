import { runWorker } from "../runtime/wasi/worker/worker.ts";

const [controlPath, expected] = process.argv.slice(2);
if (controlPath === undefined) {
  process.stderr.write("usage: bun src/cmd/wasi-worker.ts CONTROL-SOCKET [components]\n");
  process.exit(2);
}
runWorker(controlPath, { components: expected === "components" });
