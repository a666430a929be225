import { rmSync } from "node:fs";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { KUBUN, temporaryDirectory } from "./spawned-server.ts";

/** A machine without an API of its own, in a process: a worker node or a witness. */
export interface SpawnedMachine extends AsyncDisposable {
  readonly dataDir: string;
  readonly pid: number;
  output(): string;
  end(signal: "SIGTERM" | "SIGKILL" | "SIGUSR2"): Promise<void>;
}

export interface SpawnMachineOptions {
  readonly args: readonly string[];
  readonly dataDir?: string;
  /** Puts the command elsewhere, into a network namespace for one. */
  readonly command?: (cmd: readonly string[]) => string[];
}

const START_DEADLINE_MS = 30_000;

/** Starts `kubun agent` on free ports and waits until its node runs. */
export function spawnAgent(options: SpawnMachineOptions): Promise<SpawnedMachine> {
  const ports = ["--peer-port", "0", "--http-port", "0"];
  return spawnMachine(["agent", ...ports], "agent runs as node", options);
}

/** Starts a witness on a free port and waits until it answers its peers. */
export function spawnWitness(options: SpawnMachineOptions): Promise<SpawnedMachine> {
  return spawnMachine(["server", "--witness", "--peer-port", "0"], "answers its peers", options);
}

async function spawnMachine(
  verb: readonly string[],
  ready: string,
  options: SpawnMachineOptions,
): Promise<SpawnedMachine> {
  const { command = (cmd: readonly string[]): string[] => [...cmd] } = options;
  const dataDir = options.dataDir ?? temporaryDirectory();
  const child = Bun.spawn({
    cmd: command([KUBUN, ...verb, "--data-dir", dataDir, ...options.args]),
    env: process.env,
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
      if (child.exitCode !== null) throw new Error(`${verb.join(" ")} ended:\n${output}`);
      return output.includes(ready);
    },
    { deadlineMs: START_DEADLINE_MS, what: `${verb.join(" ")} starts` },
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
