/** The time a budget is for; what was not used of one is not saved for the next. */
export const BUDGET_PERIOD_MS = 100;
/** The shortest time between two looks at a process that may soon have used its budget. */
const MIN_LOOK_MS = 10;
/** A process that was not looked at in time is not stopped for ever. */
const MAX_DEBT_PERIODS = 10;

/** What to do with a process after a look: let it run, or stop it for so long. */
export interface BudgetVerdict {
  readonly stopMs: number;
  /** When to look again, from now or from the end of the stop. */
  readonly nextLookMs: number;
}

/**
 * How much of a processor a process may still use, as the kernel's bandwidth control counts it:
 * with a limit of 0.2 it may run 20 ms of each 100 ms. Below the limit it is never stopped. Pure.
 */
export class CpuBudget {
  /** 1 is a whole processor. */
  readonly #share: number;
  #balanceMs: number;
  #lookedMs: number;
  #usedMs: number;

  constructor(limitMillis: number, nowMs: number, usedMs: number) {
    this.#share = Math.max(limitMillis, 1) / 1000;
    this.#balanceMs = this.#share * BUDGET_PERIOD_MS;
    this.#lookedMs = nowMs;
    this.#usedMs = usedMs;
  }

  /** `usedMs`: processor time since the process began. */
  look(nowMs: number, usedMs: number): BudgetVerdict {
    const perPeriodMs = this.#share * BUDGET_PERIOD_MS;
    const gained = (nowMs - this.#lookedMs) * this.#share;
    const spent = usedMs - this.#usedMs;
    this.#lookedMs = nowMs;
    this.#usedMs = usedMs;
    const balance = Math.min(this.#balanceMs + gained - spent, perPeriodMs);
    this.#balanceMs = Math.max(balance, -perPeriodMs * MAX_DEBT_PERIODS);
    const stopMs = this.#balanceMs < 0 ? -this.#balanceMs / this.#share : 0;
    const idle = spent === 0 && stopMs === 0;
    const leftMs = Math.max(this.#balanceMs, MIN_LOOK_MS);
    return { stopMs, nextLookMs: idle ? BUDGET_PERIOD_MS : Math.min(leftMs, BUDGET_PERIOD_MS) };
  }
}
