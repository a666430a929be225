/** What came of one seed. */
export interface SeedOutcome {
  readonly seed: number;
  /** Differs when anything that happened differs. */
  readonly traceHash: number;
  readonly violation?: Error;
  /** The last events, when the run was recorded. */
  readonly lines: readonly string[];
}

export interface Simulation {
  readonly statistics: {
    readonly seeds: number;
    readonly virtualSeconds: number;
    lines(): string[];
  };
  /** @param options.recording how many of the last events to write down; none when absent */
  run(seed: number, options?: { readonly recording?: number }): SeedOutcome | Promise<SeedOutcome>;
}
