import { type ContainerRuntime, RuntimeError } from "../runtime/index.ts";

/** How a command in a container ended. */
export type CommandOutcome =
  | { readonly type: "exited"; readonly exitCode: number; readonly output: string }
  | { readonly type: "timed-out" }
  /** The runtime runs no commands, whatever they are. */
  | { readonly type: "unsupported"; readonly message: string }
  | { readonly type: "failed"; readonly message: string };

/** Runs a command in a container. Never rejects. */
export type RunCommand = (
  command: readonly string[],
  options: { readonly timeoutMs: number },
) => Promise<CommandOutcome>;

const MAX_OUTPUT_BYTES = 10 * 1024;

/** Commands of probes and hooks of one container. */
export function execIn(runtime: ContainerRuntime, containerId: string): RunCommand {
  return async (command, options) => {
    try {
      const { exitCode, stdout, stderr } = await runtime.execSync(containerId, command, options);
      const output = Buffer.concat([stdout, stderr]).subarray(0, MAX_OUTPUT_BYTES).toString();
      return { type: "exited", exitCode, output };
    } catch (error) {
      const { message } = error as Error;
      const code = error instanceof RuntimeError ? error.code : undefined;
      if (code === "deadline") return { type: "timed-out" };
      return { type: code === "unsupported" ? "unsupported" : "failed", message };
    }
  };
}
