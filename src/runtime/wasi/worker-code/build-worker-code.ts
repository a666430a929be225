import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { BunPlugin } from "bun";
import {
  CODE_MANIFEST_FILE,
  engineName,
  type HashedFile,
  sha256Of,
  type WorkerCodeManifest,
} from "./worker-code-manifest.ts";

const ENTRY = join(import.meta.dir, "..", "..", "..", "cmd", "wasi-worker.ts");
/** What only components need is a script of its own, so that other workers do not read it. */
const COMPONENT_ROOM = join(import.meta.dir, "..", "worker", "load-component.ts");
const COMPONENT_SCRIPT = "./load-component.js";

/**
 * Bundles what a worker process runs into minified scripts with their bytecode, and writes a
 * manifest beside them. Bytecode is made for scripts in CommonJS form alone, which cannot be split:
 * the two scripts share no classes, and what is in both is there twice.
 */
export async function buildWorkerCode(outputDirectory: string): Promise<void> {
  mkdirSync(outputDirectory, { recursive: true, mode: 0o700 });
  const sources = new Map<string, string>();
  const plugin = readingSources(sources);
  const files: HashedFile[] = [];
  for (const entry of [ENTRY, COMPONENT_ROOM]) {
    const { outputs } = await Bun.build({
      entrypoints: [entry],
      outdir: outputDirectory,
      target: "bun",
      format: "cjs",
      bytecode: true,
      minify: true,
      plugins: [plugin],
    });
    for (const output of outputs) {
      const bytes = readFileSync(output.path);
      files.push({ path: basename(output.path), sha256: sha256Of(bytes) });
    }
  }
  const manifest: WorkerCodeManifest = {
    engine: engineName(),
    sources: [...sources].map(([path, sha256]) => ({ path, sha256 })),
    files,
  };
  writeFileSync(join(outputDirectory, CODE_MANIFEST_FILE), JSON.stringify(manifest));
}

/** Notes the hash of exactly what the bundler was given of each source. */
function readingSources(sources: Map<string, string>): BunPlugin {
  return {
    name: "sources",
    setup(build) {
      build.onResolve({ filter: /\/load-component\.ts$/ }, ({ path, importer }) =>
        importer === "" || path === COMPONENT_ROOM
          ? undefined
          : { path: COMPONENT_SCRIPT, external: true },
      );
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = readFileSync(path, "utf8");
        sources.set(path, sha256Of(contents));
        return { contents, loader: "ts" };
      });
    },
  };
}
