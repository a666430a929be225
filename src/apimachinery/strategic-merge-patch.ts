import { cloneJson, getField, isJsonObject, type JsonObject, setField } from "./json-value.ts";
import { ANY_SCHEMA, type PatchStrategy, REPLACE_LISTS, type Schema } from "./schema.ts";
import { badRequest } from "./status-error.ts";
import {
  DELETE_FROM_PRIMITIVE_LIST,
  isDirectiveKey,
  PATCH,
  RETAIN_KEYS,
  SET_ELEMENT_ORDER,
  withoutDirectives,
} from "./strategic-directives.ts";
import { checkOrder, mergeSorted } from "./strategic-order.ts";

/** A strategic merge patch may hold as many items in its lists as a JSON patch operations. */
export const MAX_STRATEGIC_LIST_ITEMS = 10_000;

/**
 * Strategic merge patch: a merge patch in which the schema says how lists merge, and directives
 * ($patch, $retainKeys, $setElementOrder/…, $deleteFromPrimitiveList/…) say what a merge cannot.
 *
 * With `containers` merged by `name`, the document `{containers: [{name: a, image: x}, {name: b}]}`
 * and the patch `{containers: [{name: a, image: y}]}` give a's image y and keep b.
 *
 * The document stays as it is. Throws 400 for a patch whose directives make no sense.
 */
export function applyStrategicMergePatch(
  schema: Schema,
  document: unknown,
  patch: unknown,
): unknown {
  if (!isJsonObject(patch)) throw badRequest("a strategic merge patch is a JSON object");
  return mergeObject(schema, isJsonObject(document) ? cloneJson(document) : {}, patch);
}

/** What a schema says about one field of an object that follows it. */
function fieldOf(schema: Schema, key: string): { schema: Schema; patch: PatchStrategy } {
  if (schema.kind === "object") return schema.fields.get(key) ?? UNKNOWN_FIELD;
  return schema.kind === "map" ? { schema: schema.values, patch: REPLACE_LISTS } : UNKNOWN_FIELD;
}

const UNKNOWN_FIELD = { schema: ANY_SCHEMA, patch: REPLACE_LISTS } as const;

/** Merges into `original`, which it owns, and returns what takes its place. */
function mergeObject(schema: Schema, original: JsonObject, patch: JsonObject): JsonObject {
  const directive = getField(patch, PATCH);
  switch (directive) {
    case undefined:
    case "merge":
      break;
    case "replace":
      return (withoutDirectives(patch) as JsonObject | undefined) ?? {};
    case "delete":
      return {};
    default:
      throw badRequest(`unknown patch type: ${String(directive)} in map: ${JSON.stringify(patch)}`);
  }
  retainKeys(original, patch);
  deleteFromPrimitiveLists(original, patch);
  const ordered = mergeOrderedLists(schema, original, patch);
  for (const key of Object.keys(patch)) {
    if (isDirectiveKey(key) || ordered.has(key)) continue;
    const value = patch[key];
    if (value === null) delete original[key];
    else mergeField(schema, original, key, value);
  }
  return original;
}

function mergeField(schema: Schema, original: JsonObject, key: string, value: unknown): void {
  const present = getField(original, key);
  const field = fieldOf(schema, key);
  let merged: unknown;
  if (isJsonObject(present) && isJsonObject(value) && !field.patch.replace) {
    merged = mergeObject(field.schema, present, value);
  } else if (Array.isArray(present) && Array.isArray(value) && field.patch.merge) {
    merged = mergeList(field, present, value);
  } else merged = withoutDirectives(value);
  if (merged === undefined) delete original[key];
  else setField(original, key, merged);
}

/** $retainKeys: the only keys that stay, which must include every key the patch sets. */
function retainKeys(original: JsonObject, patch: JsonObject): void {
  const retained = getField(patch, RETAIN_KEYS);
  if (retained === undefined) return;
  if (!Array.isArray(retained)) throw badRequest("$retainKeys is a list of keys");
  for (const key of Object.keys(patch)) {
    if (isDirectiveKey(key) || patch[key] === null || retained.includes(key)) continue;
    throw badRequest(`the patch sets "${key}", which its $retainKeys does not list`);
  }
  for (const key of Object.keys(original)) if (!retained.includes(key)) delete original[key];
}

function deleteFromPrimitiveLists(original: JsonObject, patch: JsonObject): void {
  for (const directive of Object.keys(patch)) {
    if (!directive.startsWith(DELETE_FROM_PRIMITIVE_LIST)) continue;
    const doomed = patch[directive];
    if (!Array.isArray(doomed)) throw badRequest(`${directive} is a list of values`);
    const key = directive.slice(DELETE_FROM_PRIMITIVE_LIST.length);
    const present = getField(original, key);
    if (!Array.isArray(present)) continue;
    setField(
      original,
      key,
      present.filter((item) => !doomed.includes(item)),
    );
  }
}

/** Merges the lists whose order the patch dictates ($setElementOrder/…), and names them. */
function mergeOrderedLists(
  schema: Schema,
  original: JsonObject,
  patch: JsonObject,
): ReadonlySet<string> {
  const done = new Set<string>();
  for (const directive of Object.keys(patch)) {
    if (!directive.startsWith(SET_ELEMENT_ORDER)) continue;
    const key = directive.slice(SET_ELEMENT_ORDER.length);
    const order = patch[directive];
    if (!Array.isArray(order)) throw badRequest(`${directive} is a list`);
    const field = fieldOf(schema, key);
    const present = getField(original, key);
    const changes = getField(patch, key);
    done.add(key);
    if (changes === null) {
      delete original[key];
      continue;
    }
    if (changes !== undefined && !Array.isArray(changes)) throw badRequest(`${key} is a list`);
    if (!Array.isArray(present) && changes === undefined) continue;
    const identify = identityOf(field.patch, key);
    if (changes !== undefined) checkOrder(changes, order, identify, directive);
    const before: unknown[] = Array.isArray(present) ? present : [];
    const merged = changes === undefined ? before : mergeItems(field, before, changes, key);
    setField(original, key, mergeSorted({ merged, order, before, identify }));
  }
  return done;
}

type Field = ReturnType<typeof fieldOf>;

function mergeList(field: Field, original: unknown[], patch: unknown[]): unknown[] {
  const identify = identityOf(field.patch, "list");
  const hasReplace = patch.some((item) => isJsonObject(item) && item[PATCH] === "replace");
  const before = [...original];
  const merged = mergeItems(field, original, patch, "list");
  return hasReplace ? merged : mergeSorted({ merged, order: patch, before, identify });
}

/** What makes two items of a merged list the same: the merge key's value, or the item itself. */
function identityOf({ mergeKey }: PatchStrategy, name: string): (item: unknown) => unknown {
  return (item) => {
    if (!isJsonObject(item)) return item;
    if (mergeKey === undefined) {
      throw badRequest(`cannot merge lists of objects without a merge key: ${name}`);
    }
    const value = getField(item, mergeKey);
    if (value !== undefined) return value;
    const text = JSON.stringify(item);
    throw badRequest(`map: ${text} does not contain declared merge key: ${mergeKey}`);
  };
}

/** The items of both lists: those of the patch merged into theirs, or appended. */
function mergeItems(
  field: Field,
  original: readonly unknown[],
  patch: readonly unknown[],
  name: string,
): unknown[] {
  if (patch.length > MAX_STRATEGIC_LIST_ITEMS) {
    throw badRequest(`${name} holds ${patch.length} items of ${MAX_STRATEGIC_LIST_ITEMS}`);
  }
  const identify = identityOf(field.patch, name);
  const isReplaced = patch.some((item) => isJsonObject(item) && item[PATCH] === "replace");
  const items = field.schema.kind === "list" ? field.schema.items : ANY_SCHEMA;
  let merged = isReplaced ? [] : [...original];
  // Several items may share a merge key (a port for TCP and UDP): the first one is meant.
  const places = new Map<unknown, number>();
  for (const [index, item] of merged.entries()) {
    if (!places.has(identify(item))) places.set(identify(item), index);
  }
  const doomed = new Set<unknown>();
  for (const change of patch) {
    const directive = isJsonObject(change) ? getField(change, PATCH) : undefined;
    if (directive === "replace" && Object.keys(change as object).length === 1) continue;
    const identity = identify(change);
    if (directive === "delete") {
      doomed.add(identity);
      continue;
    }
    const place = places.get(identity) ?? merged.length;
    places.set(identity, place);
    merged[place] = mergeItem(items, merged[place], change);
  }
  if (doomed.size > 0) merged = merged.filter((item) => !doomed.has(identify(item)));
  return merged;
}

function mergeItem(schema: Schema, present: unknown, change: unknown): unknown {
  if (!isJsonObject(change)) return change;
  const isReplaced = getField(change, PATCH) === "replace";
  if (!isJsonObject(present) || isReplaced) return withoutDirectives(change) ?? {};
  return mergeObject(schema, present, change);
}
