/** What struck and what was done, over all seeds of a run; printed at its end. */
export const FAULTS = [
  "message lost",
  "message duplicated",
  "message delayed",
  "partition",
  "asymmetric partition",
  "member cut off",
  "crash",
  "crash losing a write",
  "log damaged",
  "slow disk",
  "pause",
  "clock jump",
  "clock drift",
] as const;

export const DEEDS = [
  "proposed",
  "acknowledged",
  "read asked",
  "read answered",
  "leader elected",
  "leadership transfer",
  "configuration change",
  "configuration applied",
  "joint change",
  "witness",
  "snapshot sent",
  "snapshot installed",
  "log compacted",
  "entries loaded",
  "restart",
] as const;

export type Fault = (typeof FAULTS)[number];
export type Deed = (typeof DEEDS)[number];

export class Statistics {
  seeds = 0;
  steps = 0;
  messages = 0;
  /** Fewest in any seed. */
  fewestFaults = Number.MAX_SAFE_INTEGER;
  fewestOperations = Number.MAX_SAFE_INTEGER;
  readonly #counts = new Map<Fault | Deed, number>();

  count(what: Fault | Deed): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  of(what: Fault | Deed): number {
    return this.#counts.get(what) ?? 0;
  }

  /** Two columns, for a terminal and for docs/RELIABILITY.md. */
  lines(): string[] {
    const row = (what: Fault | Deed): string => `  ${what.padEnd(24)} ${this.of(what)}`;
    return ["faults", ...FAULTS.map(row), "deeds", ...DEEDS.map(row)];
  }
}
