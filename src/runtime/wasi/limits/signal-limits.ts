import { readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import type { CancelTimer, Clock, Logger } from "../../../lib/index.ts";
import type { ProcessIdentity, ProcessSpawner } from "../../process-spawner.ts";
import type { CpuThrottling } from "../../runtime.ts";
import { CpuBudget } from "./cpu-budget.ts";
import type { ProcessGroup, ProcessLimits, ProcessResources } from "./process-limits.ts";

/**
 * How much a worker steps back at most. A whole nice level is worth 1.25 to the scheduler, so that
 * priorities stand to each other as requests do; further down, a busy machine's own processes would
 * starve every pod that asks for nothing.
 */
export const MAX_NICE = 5;
const NICE_STEP = 1.25;
const SESSION_RETRY_MS = 150;
/** Of a hundred workers that start at once the last has its turn after ten seconds. */
const MAX_SESSION_ATTEMPTS = 100;

/** Which nice value a request becomes: 0 for a whole processor. */
export function niceOf({ cpuRequestMillis = 0 }: ProcessResources): number {
  if (cpuRequestMillis <= 0) return MAX_NICE;
  const steps = Math.round(Math.log(1000 / cpuRequestMillis) / Math.log(NICE_STEP));
  return Math.min(Math.max(steps, 0), MAX_NICE);
}

/**
 * Continues what is stopped when the server is gone: killed, it could not do so itself. Each line
 * it reads is the list of limited processes; to continue one that runs does nothing.
 */
const KEEPER_SHELL = `
trap '' INT HUP TERM
pids=
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -CONT $pids 2>/dev/null
`;

interface Limited {
  readonly identity: ProcessIdentity;
  readonly budget: CpuBudget;
  cancel: CancelTimer;
  stopped: boolean;
  periods: number;
  throttledPeriods: number;
  throttledMs: number;
}

export interface SignalLimitsOptions {
  readonly spawner: Pick<ProcessSpawner, "kill" | "usage">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Limits where cgroups cannot be written: requests are priorities, and a process that used up its
 * part of 100 ms is stopped until it has earned more (SIGSTOP, SIGCONT). Memory is bounded by the
 * module and by looking at it.
 */
export class SignalLimits implements ProcessLimits {
  readonly kind = "signals";
  readonly #options: SignalLimitsOptions;
  readonly #limited = new Map<string, Limited>();
  #keeper: { readonly write: (line: string) => void; readonly end: () => void } | undefined;

  constructor(options: SignalLimitsOptions) {
    this.#options = options;
  }

  place(identity: ProcessIdentity, group: ProcessGroup): Promise<void> {
    const nice = niceOf(group.resources);
    this.#stepBackAsSession(identity, nice, MAX_SESSION_ATTEMPTS);
    try {
      setPriority(identity.pid, nice);
    } catch (error) {
      // Gone already, or its priority was lowered before and may not rise again.
      const what = { pid: identity.pid, error: String(error) };
      this.#options.logger.debug("a worker keeps its priority", what);
    }
    this.#limit(identity, group);
    return Promise.resolve();
  }

  adopt(identity: ProcessIdentity, group: ProcessGroup): void {
    // Whoever stopped it is gone.
    this.#options.spawner.kill(identity, "SIGCONT");
    this.#limit(identity, group);
  }

  ranOutOfMemory(): boolean {
    return false;
  }

  throttling(group: ProcessGroup): CpuThrottling | undefined {
    const limited = this.#limited.get(keyOf(group));
    if (limited === undefined) return undefined;
    const { periods, throttledPeriods, throttledMs } = limited;
    return {
      periods,
      throttledPeriods,
      throttledNanoseconds: Math.round(throttledMs * 1e6),
    };
  }

  remove(group: ProcessGroup): Promise<void> {
    this.#forget(keyOf(group));
    return Promise.resolve();
  }

  sweep(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    for (const key of this.#limited.keys()) this.#forget(key);
    this.#keeper?.end();
    this.#keeper = undefined;
  }

  /**
   * Where the kernel weighs sessions against each other (autogroups), a worker's priority counts
   * only within its own session, in which it is alone: the session has to step back.
   */
  #stepBackAsSession(identity: ProcessIdentity, nice: number, attempts: number): void {
    const file = `/proc/${identity.pid}/autogroup`;
    try {
      // One that is in the server's own session must not take the server with it.
      if (groupIn(file) === groupIn("/proc/self/autogroup")) return;
      writeFileSync(file, `${nice}`);
    } catch (error) {
      const { code } = error as { code?: string };
      // Anything else: there are no such groups here, or the worker is gone.
      if (code !== "EAGAIN" || attempts <= 1) return;
      // Of all who are not root, the kernel takes one such wish in 100 ms.
      this.#options.clock.after(SESSION_RETRY_MS, () =>
        this.#stepBackAsSession(identity, nice, attempts - 1),
      );
    }
  }

  #limit(identity: ProcessIdentity, group: ProcessGroup): void {
    const key = keyOf(group);
    this.#forget(key);
    const { cpuLimitMillis } = group.resources;
    const usedMs = this.#usedMs(identity);
    if (cpuLimitMillis === undefined || usedMs === undefined) return;
    const limited: Limited = {
      identity,
      budget: new CpuBudget(cpuLimitMillis, this.#options.clock.monotonic(), usedMs),
      cancel: () => undefined,
      stopped: false,
      periods: 0,
      throttledPeriods: 0,
      throttledMs: 0,
    };
    this.#limited.set(key, limited);
    this.#tellKeeper();
    this.#look(key, limited);
  }

  #look(key: string, limited: Limited): void {
    const { clock, spawner } = this.#options;
    const usedMs = this.#usedMs(limited.identity);
    if (usedMs === undefined) return this.#forget(key);
    const { stopMs, nextLookMs } = limited.budget.look(clock.monotonic(), usedMs);
    limited.periods++;
    if (stopMs === 0) {
      limited.cancel = clock.after(nextLookMs, () => this.#look(key, limited));
      return;
    }
    limited.throttledPeriods++;
    limited.throttledMs += stopMs;
    limited.stopped = spawner.kill(limited.identity, "SIGSTOP");
    limited.cancel = clock.after(stopMs, () => {
      this.#continue(limited);
      limited.cancel = clock.after(nextLookMs, () => this.#look(key, limited));
    });
  }

  #continue(limited: Limited): void {
    if (limited.stopped) this.#options.spawner.kill(limited.identity, "SIGCONT");
    limited.stopped = false;
  }

  #forget(key: string): void {
    const limited = this.#limited.get(key);
    if (limited === undefined) return;
    limited.cancel();
    this.#continue(limited);
    this.#limited.delete(key);
    this.#tellKeeper();
  }

  #usedMs(identity: ProcessIdentity): number | undefined {
    const usage = this.#options.spawner.usage(identity);
    return usage === undefined ? undefined : usage.cpuNanoseconds / 1e6;
  }

  #tellKeeper(): void {
    if (this.#limited.size === 0 && this.#keeper === undefined) return;
    this.#keeper ??= startKeeper();
    const pids = [...this.#limited.values()].map(({ identity }) => identity.pid);
    this.#keeper.write(`${pids.join(" ")}\n`);
  }
}

/** `/autogroup-17 nice 0` without the priority. */
function groupIn(file: string): string | undefined {
  return readFileSync(file, "utf8").split(" ", 1)[0];
}

function keyOf({ podUid, name }: ProcessGroup): string {
  return `${podUid}/${name}`;
}

function startKeeper(): { write: (line: string) => void; end: () => void } {
  const keeper = Bun.spawn({
    cmd: ["/bin/sh", "-c", KEEPER_SHELL],
    cwd: "/",
    env: {},
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  keeper.unref();
  return {
    write: (line) => {
      void keeper.stdin.write(line);
      void keeper.stdin.flush();
    },
    end: () => void keeper.stdin.end(),
  };
}
