import { getField, jsonEquals, type JsonObject } from "../json-value.ts";
import { type ListSchema, type Schema } from "../schema.ts";
import { type FieldsV1, holdsNothing, inOrder, LEAF, NO_FIELDS, nodeOf } from "./fields-v1.ts";
import {
  fieldSchemaOf,
  itemElements,
  itemSchemaOf,
  shapeOf,
  type TrackedSchema,
} from "./tracked-shape.ts";

/** What of an object differs from another one. */
export interface FieldChanges {
  /** Fields that are new or have another value. */
  readonly changed: FieldsV1;
  readonly removed: FieldsV1;
}

/** What says which object it is, or is the server's own: nobody owns it. */
const UNOWNED: ReadonlySet<string> = new Set(["apiVersion", "kind"]);
const UNOWNED_METADATA: ReadonlySet<string> = new Set([
  "name",
  "namespace",
  "creationTimestamp",
  "selfLink",
  "uid",
  "clusterName",
  "generation",
  "managedFields",
  "resourceVersion",
]);

/**
 * Fields that an object of Go has from the start, because they are structs and no pointers to
 * them, and required lists. A creation does not own them, only what it put into them.
 */
const PRESENT_FROM_THE_START: ReadonlySet<string> = new Set([
  "metadata",
  "spec",
  "status",
  "template",
  "strategy",
  "updateStrategy",
  "jobTemplate",
  "containers",
  "loadBalancer",
]);

/** Whether a field below `parent` ("" or "metadata") has owners at all. */
export function isOwnable(parent: string, name: string): boolean {
  return !(parent === "" ? UNOWNED : UNOWNED_METADATA).has(name);
}

/** How `next` differs from `old`, in fields that can be owned. */
export function compareObjects(schema: Schema, old: JsonObject, next: JsonObject): FieldChanges {
  const changed: Record<string, FieldsV1> = {};
  const removed: Record<string, FieldsV1> = {};
  const root: TrackedSchema = { schema, named: true };
  const builtIn = schema.kind === "object" && schema.builtIn;
  for (const name of namesOf(old, next, "")) {
    const child = fieldSchemaOf(root, name);
    if (child === undefined) continue;
    const parent = name === "metadata" ? name : undefined;
    const absent = builtIn && PRESENT_FROM_THE_START.has(name) ? {} : undefined;
    const before = getField(old, name) ?? absent;
    const after = getField(next, name) ?? absent;
    note(changed, removed, `f:${name}`, compareValues(child, before, after, parent));
  }
  return { changed: inOrder(changed), removed: inOrder(removed) };
}

/** The fields that the creator of an object owns. */
export function createdFields(schema: Schema, object: JsonObject): FieldsV1 {
  return presentNode({ schema, named: true }, object, "") ?? NO_FIELDS;
}

function presentNode(
  tracked: TrackedSchema,
  value: JsonObject,
  parent?: string,
): FieldsV1 | undefined {
  const { schema } = tracked;
  const builtIn = schema.kind === "object" && schema.builtIn;
  const node: Record<string, FieldsV1> = {};
  for (const name of namesOf(value, {}, parent)) {
    const child = fieldSchemaOf(tracked, name);
    const held = getField(value, name);
    if (child === undefined || held === undefined) continue;
    const isMetadata = parent === "" && name === "metadata";
    const below = isMetadata ? name : undefined;
    const started = isMetadata || (builtIn && PRESENT_FROM_THE_START.has(name));
    const added = started ? startedNode(child, held, below) : addedNode(child, held, below);
    if (added !== undefined) node[`f:${name}`] = added;
  }
  return nodeOf(inOrder(node), false);
}

function startedNode(child: TrackedSchema, held: unknown, parent?: string): FieldsV1 | undefined {
  switch (shapeOf(child, held)) {
    case "fields":
      return presentNode(child, held as JsonObject, parent);
    case "items":
      return nodeOf(addedNode(child, held), false);
    case "leaf":
      return LEAF;
  }
}

interface NodeChanges {
  readonly changed: FieldsV1 | undefined;
  readonly removed: FieldsV1 | undefined;
}

function note(
  changed: Record<string, FieldsV1>,
  removed: Record<string, FieldsV1>,
  element: string,
  found: NodeChanges | undefined,
): void {
  if (found?.changed !== undefined) changed[element] = found.changed;
  if (found?.removed !== undefined) removed[element] = found.removed;
}

function compareValues(
  tracked: TrackedSchema,
  old: unknown,
  next: unknown,
  parent?: string,
): NodeChanges | undefined {
  if (old === next) return undefined;
  if (next === undefined) return { changed: undefined, removed: addedNode(tracked, old, parent) };
  if (old === undefined) return { changed: addedNode(tracked, next, parent), removed: undefined };
  const shape = shapeOf(tracked, old);
  if (shape !== shapeOf(tracked, next)) {
    const gone = nodeOf(addedNode(tracked, old), false);
    return { changed: addedNode(tracked, next), removed: gone };
  }
  switch (shape) {
    case "leaf":
      return jsonEquals(old, next) ? undefined : { changed: LEAF, removed: undefined };
    case "fields":
      return compareFields(tracked, old as JsonObject, next as JsonObject, parent);
    case "items": {
      const list = tracked.schema as ListSchema;
      return compareItems(list, old as readonly unknown[], next as readonly unknown[]);
    }
  }
}

function compareFields(
  tracked: TrackedSchema,
  old: JsonObject,
  next: JsonObject,
  parent?: string,
): NodeChanges | undefined {
  const changed: Record<string, FieldsV1> = {};
  const removed: Record<string, FieldsV1> = {};
  for (const name of namesOf(old, next, parent)) {
    const before = getField(old, name);
    const after = getField(next, name);
    if (before === after) continue;
    const child = fieldSchemaOf(tracked, name);
    if (child === undefined) continue;
    note(changed, removed, `f:${name}`, compareValues(child, before, after));
  }
  return changesOf(changed, removed);
}

/** Items are compared by their keys: another order is no change. */
function compareItems(
  list: ListSchema,
  old: readonly unknown[],
  next: readonly unknown[],
): NodeChanges | undefined {
  const before = itemsByElement(list, old);
  const after = itemsByElement(list, next);
  const changed: Record<string, FieldsV1> = {};
  const removed: Record<string, FieldsV1> = {};
  const item = itemSchemaOf(list);
  for (const element of new Set([...before.keys(), ...after.keys()])) {
    note(changed, removed, element, compareValues(item, before.get(element), after.get(element)));
  }
  return changesOf(changed, removed);
}

/** Of several items with the same key the last one counts. */
function itemsByElement(list: ListSchema, items: readonly unknown[]): Map<string, unknown> {
  const elements = itemElements(list, items);
  return new Map(items.map((item, index) => [elements[index] ?? "", item]));
}

function changesOf(changed: FieldsV1, removed: FieldsV1): NodeChanges | undefined {
  if (holdsNothing(changed) && holdsNothing(removed)) return undefined;
  return {
    changed: nodeOf(inOrder(changed), false),
    removed: nodeOf(inOrder(removed), false),
  };
}

/** Everything at and below a value. */
function addedNode(tracked: TrackedSchema, value: unknown, parent?: string): FieldsV1 {
  const node: Record<string, FieldsV1> = {};
  switch (shapeOf(tracked, value)) {
    case "leaf":
      return LEAF;
    case "fields":
      for (const name of namesOf(value as JsonObject, {}, parent)) {
        const child = fieldSchemaOf(tracked, name);
        const held = getField(value as JsonObject, name);
        if (child === undefined || held === undefined) continue;
        node[`f:${name}`] = addedNode(child, held);
      }
      break;
    case "items": {
      const list = tracked.schema as ListSchema;
      const item = itemSchemaOf(list);
      for (const [element, held] of itemsByElement(list, value as readonly unknown[])) {
        node[element] = addedNode(item, held);
      }
    }
  }
  return nodeOf(inOrder(node), true) ?? LEAF;
}

function namesOf(a: JsonObject, b: JsonObject, parent: string | undefined): string[] {
  const names = Object.keys(a);
  for (const name of Object.keys(b)) if (!Object.hasOwn(a, name)) names.push(name);
  return parent === undefined ? names : names.filter((name) => isOwnable(parent, name));
}
