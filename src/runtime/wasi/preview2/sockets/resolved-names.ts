/** Addresses whose names are remembered; the oldest is forgotten first. */
export const MAX_RESOLVED_ADDRESSES = 1024;
const MAX_NAMES_PER_ADDRESS = 16;

/**
 * Which granted names an address was the answer for: a guest dials addresses, and is granted
 * names.
 */
export class ResolvedNames {
  readonly #names = new Map<string, Set<string>>();

  remember(name: string, address: string): void {
    const names = this.#names.get(address) ?? new Set<string>();
    this.#names.delete(address);
    this.#names.set(address, names);
    if (names.size < MAX_NAMES_PER_ADDRESS) names.add(name);
    const [oldest] = this.#names.keys();
    if (this.#names.size > MAX_RESOLVED_ADDRESSES && oldest !== undefined) {
      this.#names.delete(oldest);
    }
  }

  namesOf(address: string): readonly string[] {
    return [...(this.#names.get(address) ?? [])];
  }
}
