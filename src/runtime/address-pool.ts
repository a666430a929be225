import { RuntimeError } from "./runtime.ts";

/** Addresses at the low end that no pod gets: the network's own and the node's. */
const RESERVED_LOW = 2;
/** The broadcast address. */
const RESERVED_HIGH = 1;

/**
 * Whose pods the addresses are for: those of a node with containers stand apart, so that one route
 * leads to all containers, and all others are the machine's own.
 */
export type RangePart = "all" | "modules" | "containers";

/** The last quarter of a node's range is for containers: 1,021 of a /20. */
const CONTAINERS_SHARE = 4;

/**
 * The pod addresses of a node. The cursor only moves forward, so that an address which became free
 * is used again as late as possible: a client that still talks to a dead pod meets nobody.
 */
export class AddressPool {
  readonly #base: number;
  /** The first usable offset, and the one behind the last. */
  readonly #from: number;
  readonly #to: number;
  readonly #held = new Set<number>();
  #cursor: number;

  /** `cursor` is what {@link cursor} gave before a restart. Throws `invalid-config`. */
  constructor(cidr: string, cursor = 0, part: RangePart = "all") {
    const { base, size } = parseCidr(cidr);
    const containers = containersOffset(size);
    this.#base = base;
    this.#from = (part === "containers" ? containers : 0) + RESERVED_LOW;
    this.#to = part === "modules" ? containers : size - RESERVED_HIGH;
    this.#cursor = cursor >= this.#from && cursor < this.#to ? cursor : this.#from;
  }

  /** The offset that is looked at next; kept on disk over restarts. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Throws `exhausted` when every address is held. */
  take(): string {
    const size = this.#to - this.#from;
    for (let step = 0; step < size; step++) {
      const offset = this.#from + ((this.#cursor - this.#from + step) % size);
      if (this.#held.has(offset)) continue;
      this.#held.add(offset);
      this.#cursor = offset + 1 < this.#to ? offset + 1 : this.#from;
      return formatIpv4(this.#base + offset);
    }
    throw new RuntimeError("exhausted", `no free address among ${this.#held.size} pods`);
  }

  /** Marks an address found on disk as held. False: it is taken already, or from another range. */
  hold(ip: string): boolean {
    const offset = parseIpv4(ip) - this.#base;
    if (!(offset >= this.#from && offset < this.#to) || this.#held.has(offset)) return false;
    this.#held.add(offset);
    return true;
  }

  release(ip: string): void {
    this.#held.delete(parseIpv4(ip) - this.#base);
  }
}

export interface ContainerRange {
  /** "10.42.12.0/22" of "10.42.0.0/20". */
  readonly cidr: string;
  readonly prefixLength: number;
  /** The machine's own address in it. */
  readonly gateway: string;
}

/** The part of a node's range that its containers have. Throws `invalid-config`. */
export function containerRange(nodeCidr: string): ContainerRange {
  const { base, size } = parseCidr(nodeCidr);
  const first = base + containersOffset(size);
  const prefixLength = 32 - Math.log2(size / CONTAINERS_SHARE);
  return {
    cidr: `${formatIpv4(first)}/${prefixLength}`,
    prefixLength,
    gateway: formatIpv4(first + 1),
  };
}

function containersOffset(size: number): number {
  return size - size / CONTAINERS_SHARE;
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
