import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** What was bundled, and what came of it: both are compared before a bundle is used. */
export interface WorkerCodeManifest {
  /** The engine that made the bytecode; another one would not take it. */
  readonly engine: string;
  /** Every source that went in, by absolute path. */
  readonly sources: readonly HashedFile[];
  /** Every file that came out, by its name in the directory. */
  readonly files: readonly HashedFile[];
}

export interface HashedFile {
  readonly path: string;
  /** Of its content, hexadecimal. */
  readonly sha256: string;
}

export const CODE_MANIFEST_FILE = "manifest.json";
/** The script that a worker process is started with. */
export const WORKER_SCRIPT = "wasi-worker.js";

const hashedFile = z.object({ path: z.string(), sha256: z.string().length(64) });
const manifestShape = z.object({
  engine: z.string(),
  sources: z.array(hashedFile).min(1).max(2048),
  files: z.array(hashedFile).min(1).max(64),
});

export function engineName(): string {
  return `bun ${Bun.version} ${Bun.revision} ${process.arch}`;
}

export function sha256Of(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/**
 * Whether a directory holds a bundle of the sources as they are now, for this engine, whole. Reads
 * all of them (1.5 MB, 5 ms), so that a bundle is never older than what it stands for.
 */
export function holdsCurrentCode(directory: string): boolean {
  try {
    const text = readFileSync(join(directory, CODE_MANIFEST_FILE), "utf8");
    const manifest: WorkerCodeManifest = manifestShape.parse(JSON.parse(text));
    if (manifest.engine !== engineName()) return false;
    const same = ({ path, sha256 }: HashedFile) => sha256Of(readFileSync(path)) === sha256;
    return (
      manifest.sources.every(same) &&
      manifest.files.every(({ path, sha256 }) => same({ path: join(directory, path), sha256 }))
    );
  } catch {
    return false; // Not there, not whole, or of a source that is gone: it is made again.
  }
}
