/**
 * `bun make-component.ts CORE WORLD OUTPUT [DIRECTORY]`: wraps a core module that speaks the
 * canonical ABI.
 * The directory has `world.wit`, and in `wit` what packages it needs beside those of WASI 0.2.
 */
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [core = "", world = "", output = "", directory = import.meta.dir] = process.argv.slice(2);
const packages = join(import.meta.dir, "../../../../../node_modules/@bytecodealliance");
const shim = join(packages, "jco-transpile/node_modules/@bytecodealliance/preview2-shim");
// The tools read WIT through this shim, which opens no directory by itself.
const { _setPreopens } = await import(join(shim, "dist/nodejs/filesystem.js"));
_setPreopens({ "/": "/" });
const { componentEmbed, componentNew } = await import("@bytecodealliance/jco-transpile/wasm-tools");
const wit = mkdtempSync(join(tmpdir(), "wit-"));
cpSync(join(directory, "world.wit"), join(wit, "world.wit"));
cpSync(join(packages, "jco/lib/wit/builtin/0.2.12"), join(wit, "deps"), { recursive: true });
const packagesOfItsOwn = join(directory, "wit");
if (existsSync(packagesOfItsOwn)) cpSync(packagesOfItsOwn, join(wit, "deps"), { recursive: true });
const binary = new Uint8Array(await Bun.file(core).arrayBuffer());
const embedded = await componentEmbed({ binary, witPath: wit, world });
await Bun.write(output, await componentNew(embedded, []));
rmSync(wit, { recursive: true });
