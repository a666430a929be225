import type { Clock } from "../../../src/lib/index.ts";
import { sleep } from "../../../src/lib/index.ts";
import type { Faults } from "../../../src/store/testing/faulty-disk.ts";
import { FaultyDisk } from "../../../src/store/testing/faulty-disk.ts";
import type { Prng } from "../core/prng.ts";

const USUAL_CHANGE_MS = 4;

/** A disk whose changes take virtual time, and that can be made slow, full or broken meanwhile. */
export class SimDisk extends FaultyDisk {
  readonly #clock: Clock;
  readonly #prng: Prng;
  readonly #wanted: Faults;
  /** The longest a change takes. */
  #changeMs = USUAL_CHANGE_MS;

  constructor(clock: Clock, prng: Prng, files: Map<string, Uint8Array>) {
    const random = { bytes: () => new Uint8Array(), float: () => prng.next() / 0x1_0000_0000 };
    const wanted: Faults = {};
    super(random, wanted, files);
    this.#wanted = wanted;
    this.#clock = clock;
    this.#prng = prng;
    this.setDelay(() => this.#take());
  }

  beSlow(changeMs: number): void {
    this.#changeMs = changeMs;
  }

  beQuick(): void {
    this.#changeMs = USUAL_CHANGE_MS;
  }

  /** The machine stops within its next change of the disk: what is written then may be torn. */
  stopWithinNextChange(): void {
    this.#wanted.crashAtStep = this.steps + 1;
  }

  #take(): Promise<void> {
    return sleep(this.#clock, this.#prng.below(this.#changeMs + 1));
  }
}
