import { cloneJson, getField, type JsonObject, setField } from "../json-value.ts";
import type { ListSchema, Schema } from "../schema.ts";
import { childOf, type FieldsV1, isMember, NO_FIELDS, nodeOf } from "./fields-v1.ts";
import {
  fieldSchemaOf,
  itemElements,
  itemSchemaOf,
  shapeOf,
  type TrackedSchema,
} from "./tracked-shape.ts";

/** The live object with everything that an applied configuration says; neither is changed. */
export function mergeApplied(schema: Schema, live: JsonObject, applied: JsonObject): JsonObject {
  return mergeFields({ schema, named: true }, live, applied);
}

function mergeFields(tracked: TrackedSchema, live: JsonObject, applied: JsonObject): JsonObject {
  const merged: JsonObject = cloneJson(live);
  for (const name of Object.keys(applied)) {
    const child = fieldSchemaOf(tracked, name);
    if (child === undefined) continue;
    const next = mergeValues(child, getField(live, name), getField(applied, name));
    setField(merged, name, next);
  }
  return merged;
}

function mergeValues(tracked: TrackedSchema, live: unknown, applied: unknown): unknown {
  const shape = shapeOf(tracked, applied);
  if (live === undefined || shapeOf(tracked, live) !== shape) return cloneJson(applied);
  switch (shape) {
    case "leaf":
      return cloneJson(applied);
    case "fields":
      return mergeFields(tracked, live as JsonObject, applied as JsonObject);
    case "items": {
      const list = tracked.schema as ListSchema;
      return mergeItems(list, live as readonly unknown[], applied as readonly unknown[]);
    }
  }
}

/**
 * Items of both come in the order of the applied list; those that are only live stay between the
 * same neighbours as far as that goes.
 *
 *     live a b c x, applied c a y  →  b c x a y
 */
function mergeItems(
  list: ListSchema,
  live: readonly unknown[],
  applied: readonly unknown[],
): unknown[] {
  const liveElements = itemElements(list, live);
  const appliedElements = itemElements(list, applied);
  const isApplied = new Set(appliedElements);
  const liveItems = new Map(liveElements.map((element, index) => [element, live[index]]));
  const shared = appliedElements.filter((element) => liveItems.has(element));
  const item = itemSchemaOf(list);
  const merged: unknown[] = [];
  let nextShared = 0;
  let at = 0;
  for (const [index, element] of appliedElements.entries()) {
    // What is only live and stands before the next item that both have comes before it.
    while (at < liveElements.length && liveElements[at] !== shared[nextShared]) {
      if (!isApplied.has(liveElements[at] ?? "")) merged.push(cloneJson(live[at]));
      at++;
    }
    if (element === shared[nextShared]) {
      nextShared++;
      if (liveElements[at] === element) at++;
    }
    const before = liveItems.get(element);
    const after = applied[index];
    merged.push(before === undefined ? cloneJson(after) : mergeValues(item, before, after));
  }
  for (; at < liveElements.length; at++) {
    if (!isApplied.has(liveElements[at] ?? "")) merged.push(cloneJson(live[at]));
  }
  return merged;
}

/** The object without what the set holds; what was only there for it goes too. Not changed. */
export function removeFields(schema: Schema, object: JsonObject, set: FieldsV1): JsonObject {
  return withoutFields({ schema, named: true }, object, set);
}

function withoutFields(tracked: TrackedSchema, object: JsonObject, set: FieldsV1): JsonObject {
  const left: JsonObject = {};
  for (const name of Object.keys(object)) {
    const value = getField(object, name);
    const node = childOf(set, `f:${name}`);
    if (node === undefined) {
      setField(left, name, value);
      continue;
    }
    const child = fieldSchemaOf(tracked, name);
    const kept = isMember(node) || child === undefined ? undefined : without(child, value, node);
    if (kept !== undefined) setField(left, name, kept);
  }
  return left;
}

function without(tracked: TrackedSchema, value: unknown, node: FieldsV1): unknown {
  switch (shapeOf(tracked, value)) {
    case "leaf":
      return value;
    case "fields": {
      const left = withoutFields(tracked, value as JsonObject, node);
      return Object.keys(left).length === 0 ? undefined : left;
    }
    case "items": {
      const list = tracked.schema as ListSchema;
      const items = value as readonly unknown[];
      const elements = itemElements(list, items);
      const item = itemSchemaOf(list);
      const left = items.flatMap((held, index): unknown[] => {
        const below = childOf(node, elements[index] ?? "");
        if (below === undefined) return [held];
        const kept = isMember(below) ? undefined : without(item, held, below);
        return kept === undefined ? [] : [kept];
      });
      return left.length === 0 ? undefined : left;
    }
  }
}

/**
 * The set, and with it every named field on the way to what it holds: who owns something below a
 * field of a structure keeps the field, and who let go of all of it lets go of the field.
 */
export function withNamedParents(schema: Schema, set: FieldsV1): FieldsV1 {
  return namedParents({ schema, named: true }, set);
}

function namedParents(tracked: TrackedSchema, set: FieldsV1): FieldsV1 {
  const result: Record<string, FieldsV1> = {};
  for (const element of Object.keys(set)) {
    const node = childOf(set, element);
    if (node === undefined) continue;
    const child = element.startsWith("f:")
      ? fieldSchemaOf(tracked, element.slice(2))
      : itemOf(tracked);
    const below = child === undefined ? node : namedParents(child, node);
    const kept = nodeOf(below, child?.named === true || isMember(node));
    result[element] = kept ?? NO_FIELDS;
  }
  return result;
}

function itemOf({ schema }: TrackedSchema): TrackedSchema | undefined {
  return schema.kind === "list" ? itemSchemaOf(schema) : undefined;
}
