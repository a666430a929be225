/** A JSON object. */
export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * An own field. Plain indexing would find `constructor` and `__proto__` on every object, which a
 * request could use to change the prototypes of this process.
 */
export function getField(object: Readonly<JsonObject>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sets an own field, also one that is called `__proto__`. */
export function setField(object: JsonObject, key: string, value: unknown): void {
  if (key !== "__proto__") {
    object[key] = value;
    return;
  }
  const descriptor = { value, writable: true, enumerable: true, configurable: true };
  Object.defineProperty(object, key, descriptor);
}

/** A deep copy of a JSON value. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => cloneJson(item)) as T;
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) setField(copy, key, cloneJson(value[key]));
  return copy as T;
}

/** Deep equality of JSON values; the order of keys does not count, undefined counts as absent. */
export function jsonEquals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => jsonEquals(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  let present = 0;
  for (const key of Object.keys(a)) {
    if (a[key] === undefined) continue;
    present++;
    const other = getField(b, key);
    if (other === undefined || !jsonEquals(a[key], other)) return false;
  }
  let others = 0;
  for (const key of Object.keys(b)) if (b[key] !== undefined) others++;
  return present === others;
}

/** How Go's JSON decoder names the type of a value in its errors. */
export function jsonTypeName(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}
