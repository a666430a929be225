import { isJsonObject, type JsonObject, setField } from "./json-value.ts";

/** "replace", "delete" or "merge": what becomes of the object it stands in. */
export const PATCH = "$patch";
/** The only keys that stay in the object it stands in. */
export const RETAIN_KEYS = "$retainKeys";
/** Followed by a field's name: scalars to take out of that list. */
export const DELETE_FROM_PRIMITIVE_LIST = "$deleteFromPrimitiveList/";
/** Followed by a field's name: the order the items of that list shall have. */
export const SET_ELEMENT_ORDER = "$setElementOrder/";

export function isDirectiveKey(key: string): boolean {
  return (
    key.startsWith("$") &&
    (key === PATCH ||
      key === RETAIN_KEYS ||
      key.startsWith(SET_ELEMENT_ORDER) ||
      key.startsWith(DELETE_FROM_PRIMITIVE_LIST))
  );
}

/**
 * A copy of a patch's value as it enters a document that has nothing there: no directives, no
 * nulls. Undefined when the value only asks for a deletion.
 */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => withoutDirectives(item)).filter((item) => item !== undefined);
  }
  if (!isJsonObject(value)) return value;
  if (value[PATCH] === "delete") return undefined;
  const isOnlyDirective = value[PATCH] !== undefined && Object.keys(value).length === 1;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) {
    if (isDirectiveKey(key) || value[key] === null) continue;
    const child = withoutDirectives(value[key]);
    if (child !== undefined) setField(copy, key, child);
  }
  return isOnlyDirective ? undefined : copy;
}
