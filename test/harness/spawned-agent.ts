import { rmSync } from "node:fs";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { KUBUN, temporaryDirectory } from "./spawned-server.ts";

/** A worker node in a process of its own. */
export interface SpawnedAgent extends AsyncDisposable {
  readonly dataDir: string;
  readonly pid: number;
  output(): string;
  end(signal: "SIGTERM" | "SIGKILL" | "SIGUSR2"): Promise<void>;
}

export interface SpawnAgentOptions {
  readonly args: readonly string[];
  readonly dataDir?: string;
  /** Puts the command elsewhere, into a network namespace for one. */
  readonly command?: (cmd: readonly string[]) => string[];
}

const START_DEADLINE_MS = 30_000;

/** Starts `kubun agent` on free ports and waits until its node runs. */
export async function spawnAgent(options: SpawnAgentOptions): Promise<SpawnedAgent> {
  const { command = (cmd: readonly string[]): string[] => [...cmd] } = options;
  const dataDir = options.dataDir ?? temporaryDirectory();
  const ports = ["--peer-port", "0", "--http-port", "0"];
  const child = Bun.spawn({
    cmd: command([KUBUN, "agent", "--data-dir", dataDir, ...ports, ...options.args]),
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
      if (child.exitCode !== null) throw new Error(`the agent ended:\n${output}`);
      return output.includes("agent runs as node");
    },
    { deadlineMs: START_DEADLINE_MS, what: "the agent starts" },
  );
  const end = async (signal: "SIGTERM" | "SIGKILL" | "SIGUSR2"): Promise<void> => {
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
      if (child.exitCode === null && child.signalCode === null) await end("SIGUSR2");
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
