/**
 * A map that also finds what belongs to a pod. The node agent asks for that several times a pod's
 * start, so that going through all of a node's containers would be quadratic in its pods.
 */
export class ByPod<T> extends Map<string, T> {
  readonly #podOf: (value: T) => string;
  readonly #byPod = new Map<string, Set<string>>();

  constructor(podOf: (value: T) => string) {
    super();
    this.#podOf = podOf;
  }

  /** In the order in which they came. */
  ofPod(podUid: string): readonly T[] {
    return [...(this.#byPod.get(podUid) ?? [])].flatMap((id) => this.get(id) ?? []);
  }

  override set(id: string, value: T): this {
    const podUid = this.#podOf(value);
    const ids = this.#byPod.get(podUid) ?? new Set();
    this.#byPod.set(podUid, ids.add(id));
    return super.set(id, value);
  }

  override delete(id: string): boolean {
    const value = this.get(id);
    if (value === undefined) return false;
    const podUid = this.#podOf(value);
    const ids = this.#byPod.get(podUid);
    ids?.delete(id);
    if (ids?.size === 0) this.#byPod.delete(podUid);
    return super.delete(id);
  }

  override clear(): void {
    this.#byPod.clear();
    super.clear();
  }
}
