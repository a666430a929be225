// Builds the component: `node build.mjs [hello-component-js.wasm]`, after `npm ci` at the root of
// the repository. It has some 12 MB, most of it the JavaScript engine, and is not committed.
// The same as `npx jco componentize hello-component-js.js --wit wit -o hello-component-js.wasm`,
// whose command line finds no file before a directory is opened to it.
import { cp, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { register } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const output = process.argv[2] ?? join(import.meta.dirname, "hello-component-js.wasm");
const modules = await realpath(join(import.meta.dirname, "..", "..", "node_modules"));
const jco = join(modules, "@bytecodealliance", "jco");

// componentize-js does not declare that it needs preview2-shim: here is the one that jco has.
const near = JSON.stringify(pathToFileURL(join(jco, "package.json")).href);
const hook = `export const resolve = (name, context, next) => next(name,
  name.startsWith("@bytecodealliance/preview2-shim") ? { ...context, parentURL: ${near} } : context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
const { _setPreopens } = await import("@bytecodealliance/preview2-shim/filesystem");
_setPreopens({ "/": "/" });
const { componentize } = await import("@bytecodealliance/componentize-js");

// The packages that world.wit is written with.
const wit = await mkdtemp(join(tmpdir(), "kubun-wit-"));
try {
  await cp(join(import.meta.dirname, "world.wit"), join(wit, "world.wit"));
  await cp(join(jco, "lib", "wit", "builtin", "0.2.12"), join(wit, "deps"), { recursive: true });
  const { component } = await componentize({
    sourcePath: join(import.meta.dirname, "hello-component-js.js"),
    witPath: wit,
    worldName: "hello",
    // The listener for `fetch` events wants a new instance, engine and all, for every request.
    disableFeatures: ["fetch-event"],
  });
  await writeFile(output, component);
} finally {
  await rm(wit, { recursive: true });
}
