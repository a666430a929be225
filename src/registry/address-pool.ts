import { ipAddressText, parseCidr, parseIpAddress } from "../apimachinery/index.ts";
import { assert, type Random, randomInteger } from "../lib/index.ts";

/** Draws before the pool is searched from a random place on: a full pool must not stall. */
const RANDOM_DRAWS = 32;

/** Unique numbers of a range: node ports as they are, addresses as offsets. */
export class NumberPool {
  readonly #first: number;
  readonly #last: number;
  readonly #random: Random;
  readonly #taken = new Set<number>();

  /** @param range both ends included */
  constructor(range: { readonly from: number; readonly to: number }, random: Random) {
    assert(range.from <= range.to, `the range ${range.from}-${range.to} is empty`);
    this.#first = range.from;
    this.#last = range.to;
    this.#random = random;
  }

  contains(value: number): boolean {
    return Number.isInteger(value) && value >= this.#first && value <= this.#last;
  }

  /** False when it is taken. */
  take(value: number): boolean {
    if (this.#taken.has(value)) return false;
    this.#taken.add(value);
    return true;
  }

  /** Some free number from `lowest` on if there is one, otherwise any; undefined when full. */
  takeAny(lowest = this.#first): number | undefined {
    return this.#takeBetween(lowest, this.#last) ?? this.#takeBetween(this.#first, lowest - 1);
  }

  release(value: number): void {
    this.#taken.delete(value);
  }

  #takeBetween(first: number, last: number): number | undefined {
    const size = last - first + 1;
    if (size <= 0) return undefined;
    for (let draw = 0; draw < RANDOM_DRAWS; draw++) {
      const value = first + randomInteger(this.#random, size);
      if (this.take(value)) return value;
    }
    const start = randomInteger(this.#random, size);
    for (let step = 0; step < size; step++) {
      const value = first + ((start + step) % size);
      if (this.take(value)) return value;
    }
    return undefined;
  }
}

/** Smallest and largest part of an address range that is kept for addresses asked for by name. */
const MIN_STATIC = 16;
const MAX_STATIC = 256;

/** The addresses of Services. The network and the broadcast address are not given out. */
export class AddressPool {
  readonly cidr: string;
  readonly #base: number;
  readonly #pool: NumberPool;
  readonly #firstDynamic: number;

  /** @param cidr an IPv4 range with at least two addresses for hosts */
  constructor(cidr: string, random: Random) {
    const range = parseCidr(cidr);
    assert(range?.family === 4, `${cidr} is an IPv4 range`);
    const size = 2 ** (32 - range.prefixLength);
    this.cidr = cidr;
    this.#base = Number(range.base);
    this.#pool = new NumberPool({ from: 1, to: size - 2 }, random);
    this.#firstDynamic = Math.min(Math.max(MIN_STATIC, size / 16), MAX_STATIC, size - 2);
  }

  /** The first one: of the kubernetes Service. */
  get first(): string {
    return this.#text(1);
  }

  contains(address: string): boolean {
    return this.#pool.contains(this.#offset(address));
  }

  /** False when it is taken; the address must be in the range. */
  take(address: string): boolean {
    return this.#pool.take(this.#offset(address));
  }

  /** Prefers addresses nobody is likely to ask for by name. */
  takeAny(): string | undefined {
    const offset = this.#pool.takeAny(this.#firstDynamic);
    return offset === undefined ? undefined : this.#text(offset);
  }

  release(address: string): void {
    this.#pool.release(this.#offset(address));
  }

  #offset(address: string): number {
    const parsed = parseIpAddress(address);
    return parsed?.family === 4 ? Number(parsed.value) - this.#base : -1;
  }

  #text(offset: number): string {
    return ipAddressText({ family: 4, value: BigInt(this.#base + offset) });
  }
}
