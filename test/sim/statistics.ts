/** How often each kind of fault struck and each thing was done, over all seeds of a run. */
export class Statistics<Name extends string> {
  seeds = 0;
  /** Virtual time, in seconds. */
  virtualSeconds = 0;
  readonly #counts = new Map<Name, number>();
  readonly #faults: readonly Name[];
  readonly #deeds: readonly Name[];

  constructor(names: { readonly faults: readonly Name[]; readonly deeds: readonly Name[] }) {
    this.#faults = names.faults;
    this.#deeds = names.deeds;
  }

  count(what: Name, times = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + times);
  }

  of(what: Name): number {
    return this.#counts.get(what) ?? 0;
  }

  /** Rows of a table in Markdown, for a terminal and for docs/RELIABILITY.md. */
  lines(): string[] {
    const row = (what: Name): string => {
      const each = (this.of(what) / Math.max(1, this.seeds)).toFixed(2);
      return `| ${what.padEnd(24)} | ${String(this.of(what)).padStart(12)} | ${each.padStart(8)} |`;
    };
    return [
      "| fault                    |        times |   a seed |",
      "|--------------------------|-------------:|---------:|",
      ...this.#faults.map(row),
      "",
      "| deed                     |        times |   a seed |",
      "|--------------------------|-------------:|---------:|",
      ...this.#deeds.map(row),
    ];
  }
}
