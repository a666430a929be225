// Makes a component of a core module: make-component.mjs WIT WORLD CORE.wasm COMPONENT.wasm
// The same as `wasm-tools component embed` and `wasm-tools component new --adapt`, with the copy of
// wasm-tools that npm has; its command line finds no file before a directory is opened to it.
import { readFile, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";

const [witPath, world, core, output] = process.argv.slice(2);
const modules = await realpath(join(import.meta.dirname, "..", "..", "node_modules"));
const jco = join(modules, "@bytecodealliance", "jco");
const transpile = join(modules, "@bytecodealliance", "jco-transpile");
const shim = join("node_modules", "@bytecodealliance", "preview2-shim", "dist", "nodejs");
const { _setPreopens } = await import(join(transpile, shim, "filesystem.js"));
_setPreopens({ "/": "/" });
const tools = await import(join(transpile, "dist", "wasm-tools.js"));

const binary = new Uint8Array(await readFile(core));
const adapter = new Uint8Array(
  await readFile(join(jco, "lib", "wasi_snapshot_preview1.reactor.wasm")),
);
const embedded = await tools.componentEmbed({ binary, witPath: await realpath(witPath), world });
await writeFile(output, await tools.componentNew(embedded, [["wasi_snapshot_preview1", adapter]]));
