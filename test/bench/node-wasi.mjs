// Runs a program for WASI preview 1 on Node's own WASI: node-wasi.mjs DATA-DIRECTORY FILE ARGUMENTS…
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [directory, file, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: "preview1",
  args: [file, ...args],
  preopens: { "/data": directory },
});
const module = await WebAssembly.compile(readFileSync(file));
wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
