/** Randomness as the rooms see it: the real one lives in os/, tests hand in a seed. */
export interface Random {
  /** Cryptographically strong in production. */
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1). */
  float(): number;
}

/** Uniform integer in [0, bound). */
export function randomInteger(random: Random, bound: number): number {
  return Math.floor(random.float() * bound);
}

/** A version 4 UUID (RFC 9562 section 5.4). */
export function randomUuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

/** Deterministic randomness for tests and the simulation (xorshift128, Marsaglia 2003). */
export class SeededRandom implements Random {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = new Uint32Array([seed ^ 0x9e3779b9, 0x243f6a88, 0xb7e15162, seed | 1]);
    for (let round = 0; round < 16; round++) this.#next();
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.#next() & 0xff;
    return bytes;
  }

  float(): number {
    return this.#next() / 0x1_0000_0000;
  }

  #next(): number {
    const state = this.#state;
    let t = state[3] ?? 0;
    const s = state[0] ?? 0;
    state[3] = state[2] ?? 0;
    state[2] = state[1] ?? 0;
    state[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    state[0] = t ^ s ^ (s >>> 19);
    return state[0] ?? 0;
  }
}
