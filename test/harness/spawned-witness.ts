import { rmSync } from "node:fs";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { KUBUN, temporaryDirectory } from "./spawned-server.ts";

/** A witness in a process of its own. */
export interface SpawnedWitness extends AsyncDisposable {
  readonly dataDir: string;
  readonly pid: number;
  output(): string;
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

const START_DEADLINE_MS = 30_000;

/** Starts `kubun server --witness` on a free port and waits until its peers can reach it. */
export async function spawnWitness(options: {
  readonly args: readonly string[];
  readonly dataDir?: string;
}): Promise<SpawnedWitness> {
  const dataDir = options.dataDir ?? temporaryDirectory();
  const own = ["--witness", "--data-dir", dataDir, "--peer-port", "0", "--log-level", "warn"];
  const child = Bun.spawn({
    cmd: [KUBUN, "server", ...own, ...options.args],
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`the witness ended:\n${output}`);
      return output.includes("answers its peers at");
    },
    { deadlineMs: START_DEADLINE_MS, what: "the witness starts" },
  );
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    child.kill(signal);
    await child.exited;
    await collected;
  };
  return {
    dataDir,
    pid: child.pid,
    output: () => output,
    end,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await end("SIGTERM");
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
