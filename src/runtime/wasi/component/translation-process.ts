import { type Clock, sleep } from "../../../lib/index.ts";
import type { ProcessSpawner } from "../../process-spawner.ts";
import { RuntimeError } from "../../runtime.ts";

export interface TranslationProcessOptions {
  /** Program and arguments; the component's path and the output directory are appended. */
  readonly command: readonly string[];
  readonly spawner: Pick<ProcessSpawner, "identify" | "usage">;
  readonly clock: Clock;
  /** Default {@link TRANSLATION_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  /** Default {@link TRANSLATION_MEMORY_BYTES}. */
  readonly memoryBytes?: number;
}

export interface TranslationOrder {
  readonly input: string;
  /** Made by the process; whole only when the promise resolves. */
  readonly outputDirectory: string;
}

/** Largest seen: 2.5 s for a component of 13 MB; the rest is for slow machines. */
export const TRANSLATION_TIMEOUT_MS = 120_000;
/** Largest seen: 250 MB. */
export const TRANSLATION_MEMORY_BYTES = 2 * 1024 * 1024 * 1024;
const MEMORY_LOOK_INTERVAL_MS = 100;
const MAX_MESSAGE_BYTES = 2048;
/** Ends with the translation even if the server that watches it is gone: CPU time is bounded. */
const BOUNDED = ["/bin/sh", "-c", 'ulimit -t "$0" && exec "$@"'] as const;

/**
 * Translates one component in a process of its own. Errors: `image-unsupported` with the
 * translator's words, or that it took too long or too much memory.
 */
export async function runTranslation(
  options: TranslationProcessOptions,
  { input, outputDirectory }: TranslationOrder,
): Promise<void> {
  const timeoutMs = options.timeoutMs ?? TRANSLATION_TIMEOUT_MS;
  const memoryBytes = options.memoryBytes ?? TRANSLATION_MEMORY_BYTES;
  const cpuSeconds = Math.ceil(timeoutMs / 1000);
  const child = Bun.spawn(
    [...BOUNDED, `${cpuSeconds}`, ...options.command, input, outputDirectory],
    {
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    },
  );
  const bounds: { exceeded?: string } = {};
  const exceed = (what: string) => {
    bounds.exceeded = what;
    child.kill("SIGKILL");
  };
  const cancel = options.clock.after(timeoutMs, () => exceed(`took more than ${timeoutMs} ms`));
  const words = lastWords(child.stderr);
  void watchMemory(options, child, memoryBytes, exceed);
  const exitCode = await child.exited;
  cancel();
  if (exitCode === 0) return;
  const why = bounds.exceeded ?? ((await words) || `ended with code ${exitCode}`);
  throw new RuntimeError("image-unsupported", `the component cannot be translated: ${why}`);
}

async function watchMemory(
  { spawner, clock }: TranslationProcessOptions,
  child: { readonly pid: number; readonly exitCode: number | null },
  limitBytes: number,
  exceed: (what: string) => void,
): Promise<void> {
  const identity = spawner.identify(child.pid);
  if (identity === undefined) return;
  while (child.exitCode === null) {
    const usage = spawner.usage(identity);
    if (usage === undefined) return;
    if (usage.residentBytes > limitBytes) {
      return exceed(`took more than ${limitBytes} bytes of memory`);
    }
    await sleep(clock, MEMORY_LOOK_INTERVAL_MS);
  }
}

async function lastWords(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let kept = Buffer.alloc(0);
  for await (const chunk of stderr) {
    kept = Buffer.concat([kept, chunk]).subarray(-MAX_MESSAGE_BYTES);
  }
  return kept.toString().trim();
}
