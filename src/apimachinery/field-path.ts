/**
 * Where in an object something is, written as Kubernetes writes it:
 * `FieldPath.root("spec").child("containers").index(0).key("x")` is "spec.containers[0][x]".
 * Immutable and built only from the leaf up, so that passing one along costs nothing.
 */
export class FieldPath {
  readonly #parent: FieldPath | undefined;
  readonly #segment: string;

  private constructor(parent: FieldPath | undefined, segment: string) {
    this.#parent = parent;
    this.#segment = segment;
  }

  /** The path of a top-level field, or of the object itself without an argument. */
  static root(...names: readonly string[]): FieldPath {
    return new FieldPath(undefined, "").child(...names);
  }

  child(...names: readonly string[]): FieldPath {
    return names.reduce<FieldPath>((path, name) => new FieldPath(path, `.${name}`), this);
  }

  /** An item of a list. */
  index(index: number): FieldPath {
    return new FieldPath(this, `[${index}]`);
  }

  /** A key of a map, or an item of a list that is keyed by name. */
  key(key: string): FieldPath {
    return new FieldPath(this, `[${key}]`);
  }

  toString(): string {
    const text = this.#text();
    return text.startsWith(".") ? text.slice(1) : text;
  }

  #text(): string {
    return this.#parent === undefined ? this.#segment : this.#parent.#text() + this.#segment;
  }
}
