import { readFileSync } from "node:fs";
import { translateComponent } from "../runtime/index.ts";

const [input, outputDirectory] = process.argv.slice(2);
if (input === undefined || outputDirectory === undefined) {
  process.stderr.write("usage: bun src/cmd/wasi-translate.ts COMPONENT OUTPUT-DIRECTORY\n");
  process.exit(2);
}
try {
  await translateComponent(readFileSync(input), outputDirectory);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
