/** Chunks are split in two when they grow over this. */
const MAX_CHUNK = 512;

interface Chunk<Value> {
  readonly keys: string[];
  readonly values: Value[];
}

/**
 * A map with string keys in order (UTF-16 code units): chunks of sorted arrays, which is smaller
 * and faster than a tree of nodes at the sizes of a cluster. With chunks of 3 it could look like
 * `[a b c] [e f] [k l m]`; a lookup is two binary searches, an insert moves at most one chunk.
 */
export class OrderedMap<Value> {
  /** Never empty; only the first chunk of an empty map has no keys. */
  #chunks: Chunk<Value>[] = [{ keys: [], values: [] }];
  #size = 0;

  /** Builds the map from entries in any order, without duplicates. */
  static from<Value>(entries: Iterable<readonly [string, Value]>): OrderedMap<Value> {
    const sorted = [...entries].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    const map = new OrderedMap<Value>();
    const half = MAX_CHUNK / 2;
    for (let start = 0; start < sorted.length; start += half) {
      const part = sorted.slice(start, start + half);
      const chunk = { keys: part.map(([key]) => key), values: part.map(([, value]) => value) };
      map.#chunks[start / half] = chunk;
    }
    map.#size = sorted.length;
    return map;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): Value | undefined {
    const chunk = this.#chunks[this.#chunkOf(key)];
    if (chunk === undefined) return undefined;
    const at = lowerBound(chunk.keys, key);
    return chunk.keys[at] === key ? chunk.values[at] : undefined;
  }

  set(key: string, value: Value): void {
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    const at = lowerBound(chunk.keys, key);
    if (chunk.keys[at] === key) {
      chunk.values[at] = value;
      return;
    }
    chunk.keys.splice(at, 0, key);
    chunk.values.splice(at, 0, value);
    this.#size += 1;
    if (chunk.keys.length <= MAX_CHUNK) return;
    const half = chunk.keys.length >> 1;
    const right = { keys: chunk.keys.splice(half), values: chunk.values.splice(half) };
    this.#chunks.splice(index + 1, 0, right);
  }

  delete(key: string): void {
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    const at = lowerBound(chunk.keys, key);
    if (chunk.keys[at] !== key) return;
    chunk.keys.splice(at, 1);
    chunk.values.splice(at, 1);
    this.#size -= 1;
    if (chunk.keys.length === 0 && this.#chunks.length > 1) this.#chunks.splice(index, 1);
  }

  /** Values of the keys that start with the prefix, in key order. */
  list(prefix: string, options: { limit?: number; after?: string } = {}): Value[] {
    const limit = options.limit ?? Infinity;
    const from = options.after !== undefined && options.after >= prefix ? options.after : prefix;
    const found: Value[] = [];
    let index = this.#chunkOf(from);
    let at = lowerBound(this.#chunks[index]?.keys ?? [], from);
    if (from === options.after && this.#chunks[index]?.keys[at] === from) at += 1;
    for (; index < this.#chunks.length && found.length < limit; index++, at = 0) {
      const chunk = this.#chunks[index] ?? { keys: [], values: [] };
      const end = prefixEnd(chunk.keys, prefix, at);
      const wanted = Math.min(end, at + limit - found.length);
      for (; at < wanted; at++) found.push(chunk.values[at] as Value);
      if (end < chunk.keys.length) break;
    }
    return found;
  }

  /** How many keys start with the prefix. */
  count(prefix: string): number {
    let counted = 0;
    let index = this.#chunkOf(prefix);
    let at = lowerBound(this.#chunks[index]?.keys ?? [], prefix);
    for (; index < this.#chunks.length; index++, at = 0) {
      const keys = this.#chunks[index]?.keys ?? [];
      const end = prefixEnd(keys, prefix, at);
      counted += end - at;
      if (end < keys.length) break;
    }
    return counted;
  }

  /** The last chunk that starts at or before the key, where the key is or belongs. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#chunks[middle]?.keys[0] ?? "") <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The first position whose key is not before the given one. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first position from `start` (which is not before the prefix) behind the prefix's keys. */
function prefixEnd(keys: readonly string[], prefix: string, start: number): number {
  let low = start;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]?.startsWith(prefix)) low = middle + 1;
    else high = middle;
  }
  return low;
}
