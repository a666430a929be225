import type { KubeObject, ManagedFieldsEntry } from "../meta.ts";
import type { Schema } from "../schema.ts";
import { compareObjects, createdFields, type FieldChanges } from "./compare-fields.ts";
import { difference, type FieldsV1, holdsNothing, NO_FIELDS, union } from "./fields-v1.ts";
import {
  type FieldWriter,
  isReset,
  type ManagedEntry,
  readEntries,
  sameManager,
  writeEntries,
} from "./managed-entries.ts";

/** metadata.managedFields of an object that is being created. */
export function trackCreate(
  schema: Schema,
  object: Readonly<KubeObject>,
  writer: FieldWriter,
): ManagedFieldsEntry[] | undefined {
  const given = object.metadata.managedFields;
  const before = isReset(given) ? [] : (readEntries(given) ?? []);
  const fields = createdFields(schema, object);
  return writeEntries(claimed(before, { changed: fields, removed: NO_FIELDS }, writer));
}

/**
 * metadata.managedFields after a write that is no apply: who writes a field takes it from everybody
 * else, and nobody owns what is gone. A write may bring managedFields of its own to start from. An
 * object of which nobody owns anything stays that way until something is applied to it, so that
 * writes to it cost nothing.
 */
export function trackUpdate(
  schema: Schema,
  old: Readonly<KubeObject>,
  next: Readonly<KubeObject>,
  writer: FieldWriter,
): ManagedFieldsEntry[] | undefined {
  const given = next.metadata.managedFields;
  if (isReset(given)) return undefined;
  const live = old.metadata.managedFields;
  // Subresources cannot set who owns what.
  const stated = writer.subresource === "" ? readEntries(given) : undefined;
  const isStated = stated !== undefined && stated.length > 0;
  const before = isStated ? stated : (readEntries(live) ?? []);
  if (before.length === 0) return undefined;
  const changes = compareObjects(schema, old, next);
  const unchanged = holdsNothing(changes.changed) && holdsNothing(changes.removed);
  if (unchanged && !isStated) return live;
  return writeEntries(claimed(before, changes, writer));
}

function claimed(
  before: readonly ManagedEntry[],
  changes: FieldChanges,
  writer: FieldWriter,
): ManagedEntry[] {
  const left = before.map((entry) => ({ ...entry, fields: without(entry.fields, changes) }));
  if (holdsNothing(changes.changed)) return left;
  const own = left.find((entry) => sameManager(entry, writer, "Update"));
  const fields = union(own?.fields ?? NO_FIELDS, changes.changed);
  const entry: ManagedEntry = { ...writer, operation: "Update", fields };
  return [...left.filter((other) => other !== own), entry];
}

/** What an owner keeps of its fields after somebody else's write. */
export function without(fields: FieldsV1, { changed, removed }: FieldChanges): FieldsV1 {
  return difference(difference(fields, changed), removed);
}
