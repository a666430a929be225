import type { LifecycleHandler } from "../api/index.ts";
import { type Clock, sleep } from "../lib/index.ts";
import type { CommandOutcome } from "./exec-action.ts";
import { type ProbeTarget, runProbe } from "./probe-action.ts";

/** The waiting reason of a container whose postStart hook failed. */
export const POST_START_HOOK_ERROR = "PostStartHookError";
/** A postStart request that is not answered by then has failed. */
export const POST_START_LIMIT_MS = 60_000;

/**
 * Runs a hook of a container's life once. Gives what went wrong, undefined when nothing did. A
 * request that takes longer than the limit has failed; a sleep is cut there, and when the signal
 * aborts.
 */
export async function runLifecycleHook(
  hook: LifecycleHandler,
  target: ProbeTarget,
  options: { readonly clock: Clock; readonly limitMs: number; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const { clock, limitMs, signal } = options;
  if (hook.sleep !== undefined) {
    await sleep(clock, Math.min(hook.sleep.seconds * 1000, limitMs), signal);
    return undefined;
  }
  if (hook.httpGet !== undefined) {
    const limits = { clock, timeoutMs: limitMs };
    const outcome = await runProbe({ httpGet: hook.httpGet }, target, limits);
    return outcome.success === false ? outcome.message : undefined;
  }
  if (hook.exec !== undefined)
    return runCommand(hook.exec.command ?? [], target, { clock, limitMs, signal });
  return "a hook is an exec, an httpGet or a sleep";
}

/** Without a limit of its own a command has the rest of a day. */
const LONGEST_COMMAND_MS = 86_400_000;

async function runCommand(
  command: readonly string[],
  { run }: ProbeTarget,
  limits: { readonly clock: Clock; readonly limitMs: number; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const timeoutMs = Math.min(limits.limitMs, LONGEST_COMMAND_MS);
  const ended = await run(command, { timeoutMs });
  return limits.signal.aborted ? undefined : failureOf(command, ended, timeoutMs);
}

function failureOf(
  command: readonly string[],
  ended: CommandOutcome,
  timeoutMs: number,
): string | undefined {
  switch (ended.type) {
    case "exited": {
      if (ended.exitCode === 0) return undefined;
      const text = ended.output.trimEnd();
      return `command '${command.join(" ")}' exited with ${ended.exitCode}: ${text}`;
    }
    case "timed-out":
      return `command '${command.join(" ")}' timed out after ${timeoutMs / 1000}s`;
    case "unsupported":
    case "failed":
      return ended.message;
  }
}
