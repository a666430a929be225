import { buildWorkerCode } from "../runtime/index.ts";

const [outputDirectory] = process.argv.slice(2);
if (outputDirectory === undefined) {
  process.stderr.write("usage: bun src/cmd/wasi-bundle.ts OUTPUT-DIRECTORY\n");
  process.exit(2);
}
await buildWorkerCode(outputDirectory);
