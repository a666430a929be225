import { MAX_MEMBERS } from "./ledger.ts";
import type { Prng } from "./prng.ts";

/** The wires between the members: what is cut, and what the weather does to the rest. */
export class Network {
  /** Per mille of messages. */
  loss = 0;
  duplication = 0;
  /** The longest extra delay, in steps; what is delayed is overtaken. */
  jitter = 0;
  readonly #cut = new Uint8Array(MAX_MEMBERS * MAX_MEMBERS);

  heal(): void {
    this.loss = 0;
    this.duplication = 0;
    this.jitter = 0;
    this.#cut.fill(0);
  }

  mend(): void {
    this.#cut.fill(0);
  }

  cut(from: number, to: number): void {
    this.#cut[from * MAX_MEMBERS + to] = 1;
  }

  /** Separates the set (one bit a member) from the rest, in one direction or both. */
  partition(set: number, directions: "both" | "outwards"): void {
    for (let from = 0; from < MAX_MEMBERS; from++) {
      for (let to = 0; to < MAX_MEMBERS; to++) {
        const inside = (set >>> from) & 1;
        if (inside === ((set >>> to) & 1)) continue;
        if (directions === "both" || inside === 1) this.cut(from, to);
      }
    }
  }

  loses(from: number, to: number, prng: Prng): boolean {
    return this.#cut[from * MAX_MEMBERS + to] === 1 || prng.permille(this.loss);
  }

  /** Steps until a message arrives. */
  delay(prng: Prng): number {
    const usual = prng.below(2);
    return this.jitter === 0 ? usual : usual + prng.below(this.jitter + 1);
  }
}
