import type { KubeObject } from "../apimachinery/index.ts";
import { keyOf, objectKey } from "./kube-object.ts";

/** Gives the values under which an object is found in an index. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];

/** Read access to what an informer has seen. The objects are shared: never change them. */
export interface Lister<T extends KubeObject> {
  /** `""` as the namespace of what is cluster-wide. */
  get(namespace: string, name: string): T | undefined;
  list(options?: { namespace?: string; where?: (object: T) => boolean }): readonly T[];
  /** Objects whose index function gave this value; throws for an index that was never added. */
  byIndex(index: string, value: string): readonly T[];
  /** `namespace/name` keys. */
  keys(): IterableIterator<string>;
  readonly size: number;
}

const NAMESPACE_INDEX = "namespace";

class Index<T extends KubeObject> {
  readonly #valuesOf: IndexFunction<T>;
  readonly #objects = new Map<string, Map<string, T>>();

  constructor(valuesOf: IndexFunction<T>) {
    this.#valuesOf = valuesOf;
  }

  add(key: string, object: T): void {
    for (const value of this.#valuesOf(object)) {
      const bucket = this.#objects.get(value);
      if (bucket === undefined) this.#objects.set(value, new Map([[key, object]]));
      else bucket.set(key, object);
    }
  }

  remove(key: string, object: T): void {
    for (const value of this.#valuesOf(object)) {
      const bucket = this.#objects.get(value);
      bucket?.delete(key);
      if (bucket?.size === 0) this.#objects.delete(value);
    }
  }

  get(value: string): T[] {
    return [...(this.#objects.get(value)?.values() ?? [])];
  }
}

/** Objects by key, with indexes; one object a key, always. */
export class ObjectStore<T extends KubeObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();

  constructor() {
    this.addIndex(NAMESPACE_INDEX, (object) => [object.metadata.namespace ?? ""]);
  }

  /** Adding an index a second time under the same name keeps the first. */
  addIndex(name: string, valuesOf: IndexFunction<T>): void {
    if (this.#indexes.has(name)) return;
    const index = new Index(valuesOf);
    for (const [key, object] of this.#objects) index.add(key, object);
    this.#indexes.set(name, index);
  }

  /** Gives the object that stood there before. */
  set(object: T): T | undefined {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    for (const index of this.#indexes.values()) {
      if (previous !== undefined) index.remove(key, previous);
      index.add(key, object);
    }
    this.#objects.set(key, object);
    return previous;
  }

  delete(key: string): T | undefined {
    const previous = this.#objects.get(key);
    if (previous === undefined) return undefined;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) index.remove(key, previous);
    return previous;
  }

  getByKey(key: string): T | undefined {
    return this.#objects.get(key);
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(objectKey(namespace, name));
  }

  list(options: { namespace?: string; where?: (object: T) => boolean } = {}): readonly T[] {
    const { namespace, where } = options;
    const all =
      namespace === undefined
        ? [...this.#objects.values()]
        : this.#bucket(NAMESPACE_INDEX, namespace);
    return where === undefined ? all : all.filter(where);
  }

  byIndex(index: string, value: string): readonly T[] {
    return this.#bucket(index, value);
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  get size(): number {
    return this.#objects.size;
  }

  #bucket(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) {
      throw new TypeError(`no index ${name}; there are ${[...this.#indexes.keys()].join(", ")}`);
    }
    return index.get(value);
  }
}
