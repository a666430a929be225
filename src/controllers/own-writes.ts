import { keyOf } from "../client/index.ts";
import type { Informer } from "../client/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";

/**
 * Lays a controller's own writes over its cache, which hears of them later: without it, a second
 * look at an object that has just got its pods would make them again. A write counts until the
 * informer has reached its revision; from then on the cache knows better.
 *
 * Example: a create answered with resourceVersion 57 while the informer is at 52. `list` adds the
 * new object until the informer is at 57, whether it then still exists or not.
 */
export class OwnWrites<T extends KubeObject> {
  readonly #informer: Informer<T>;
  readonly #written = new Map<string, T>();
  /** Uids of objects whose deletion was accepted. */
  readonly #deleted = new Set<string>();

  constructor(informer: Informer<T>) {
    this.#informer = informer;
    informer.addHandler({ onDelete: (last) => this.#deleted.delete(last.metadata.uid ?? "") });
  }

  /** Remembers the answer to a create, update or patch. */
  wrote(object: T): void {
    if (revisionOf(object) > this.#informer.revision) this.#written.set(keyOf(object), object);
  }

  /** Remembers that the server accepted the deletion of an object. */
  deleted(object: T): void {
    const { namespace = "", name = "", uid = "" } = object.metadata;
    const cached = this.#informer.lister.get(namespace, name)?.metadata.uid === uid;
    const written = this.#written.get(keyOf(object))?.metadata.uid === uid;
    if (cached || written) this.#deleted.add(uid);
  }

  /** True while a deletion accepted by the server has not reached the cache as such. */
  isDeleted(object: T): boolean {
    return this.#deleted.has(object.metadata.uid ?? "");
  }

  /** One object as the cache and the own writes together know it. */
  get(namespace: string, name: string): T | undefined {
    this.#prune();
    const cached = this.#informer.lister.get(namespace, name);
    const key = namespace === "" ? name : `${namespace}/${name}`;
    return this.#written.get(key) ?? cached;
  }

  /** What the cache gave, with the own writes over it that pass the filter. */
  list(cached: readonly T[], where: (object: T) => boolean): readonly T[] {
    this.#prune();
    if (this.#written.size === 0) return cached;
    const objects = new Map(cached.map((object) => [keyOf(object), object]));
    for (const [key, object] of this.#written) {
      if (where(object)) objects.set(key, object);
      else objects.delete(key);
    }
    return [...objects.values()];
  }

  #prune(): void {
    const seen = this.#informer.revision;
    for (const [key, object] of this.#written) {
      if (revisionOf(object) <= seen) this.#written.delete(key);
    }
  }
}

function revisionOf(object: KubeObject): number {
  return Number(object.metadata.resourceVersion ?? 0);
}
