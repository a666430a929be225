import { RuntimeError } from "../runtime.ts";

/** Addresses at the low end that no pod gets: the network's own and the node's. */
const RESERVED_LOW = 2;
/** The broadcast address. */
const RESERVED_HIGH = 1;

/**
 * The pod addresses of a node. The cursor only moves forward, so that an address which became free
 * is used again as late as possible: a client that still talks to a dead pod meets nobody.
 */
export class AddressPool {
  readonly #base: number;
  readonly #size: number;
  readonly #held = new Set<number>();
  #cursor: number;

  /** `cursor` is what {@link cursor} gave before a restart. Throws `invalid-config`. */
  constructor(cidr: string, cursor = 0) {
    const { base, size } = parseCidr(cidr);
    this.#base = base;
    this.#size = size;
    this.#cursor = cursor % size;
  }

  /** The offset that is looked at next; kept on disk over restarts. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Throws `exhausted` when every address is held. */
  take(): string {
    for (let step = 0; step < this.#size; step++) {
      const offset = (this.#cursor + step) % this.#size;
      const usable = offset >= RESERVED_LOW && offset < this.#size - RESERVED_HIGH;
      if (!usable || this.#held.has(offset)) continue;
      this.#held.add(offset);
      this.#cursor = (offset + 1) % this.#size;
      return formatIpv4(this.#base + offset);
    }
    throw new RuntimeError("exhausted", `no free address among ${this.#held.size} pods`);
  }

  /** Marks an address found on disk as held. False: it is taken already, or from another range. */
  hold(ip: string): boolean {
    const offset = parseIpv4(ip) - this.#base;
    if (!(offset >= 0 && offset < this.#size) || this.#held.has(offset)) return false;
    this.#held.add(offset);
    return true;
  }

  release(ip: string): void {
    this.#held.delete(parseIpv4(ip) - this.#base);
  }
}

function parseCidr(cidr: string): { base: number; size: number } {
  const [address = "", bits = ""] = cidr.split("/");
  const prefix = Number(bits);
  const valid = /^\d+$/.test(bits) && prefix >= 8 && prefix <= 29;
  const start = parseIpv4(address);
  if (!valid || Number.isNaN(start)) {
    throw new RuntimeError("invalid-config", `pod CIDR ${cidr}: want an IPv4 range of /8 to /29`);
  }
  const size = 2 ** (32 - prefix);
  return { base: start - (start % size), size };
}

function parseIpv4(ip: string): number {
  const parts = ip.split(".").map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : Number.NaN));
  if (parts.length !== 4 || !parts.every((part) => part <= 255)) return Number.NaN;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}
