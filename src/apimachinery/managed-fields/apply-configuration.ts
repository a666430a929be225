import { jsonEquals, type JsonObject } from "../json-value.ts";
import type { KubeObject, ManagedFieldsEntry } from "../meta.ts";
import type { Schema } from "../schema.ts";
import { appliedFields } from "./applied-fields.ts";
import { compareObjects, createdFields } from "./compare-fields.ts";
import {
  difference,
  type FieldsV1,
  holdsNothing,
  intersection,
  LEAF,
  sameFields,
  union,
} from "./fields-v1.ts";
import {
  BEFORE_FIRST_APPLY,
  type FieldWriter,
  type ManagedEntry,
  readEntries,
  sameManager,
  writeEntries,
} from "./managed-entries.ts";
import { mergeApplied, removeFields, withNamedParents } from "./merge-applied.ts";
import { without } from "./track-update.ts";

/** One server-side apply. */
export interface ApplyRequest {
  readonly schema: Schema;
  /** The object as it is; undefined when the apply creates it. */
  readonly live: Readonly<KubeObject> | undefined;
  /** What the applier wants, and nothing that it may not apply here. */
  readonly configuration: Readonly<KubeObject>;
  readonly writer: FieldWriter;
  /** Takes fields from their owners instead of meeting conflicts. */
  readonly force: boolean;
}

export interface ApplyResult {
  /** Before defaults; shares nothing with what was handed in. */
  readonly object: KubeObject;
  readonly managedFields: ManagedFieldsEntry[] | undefined;
}

/** Fields that the applier would change and somebody else owns. */
export interface FieldConflict {
  readonly owner: ManagedEntry;
  readonly fields: FieldsV1;
}

export class ApplyConflictError extends Error {
  override readonly name = "ApplyConflictError";
  readonly conflicts: readonly FieldConflict[];

  constructor(conflicts: readonly FieldConflict[]) {
    super("fields are owned by others");
    this.conflicts = conflicts;
  }
}

/**
 * Server-side apply (KEP-555): the live object merged with the configuration, without what the
 * applier named last time, does not name now, and nobody else owns. Throws
 * {@link ApplyConflictError}, and {@link ConfigurationError} for what the kind cannot hold.
 */
export function applyConfiguration(request: ApplyRequest): ApplyResult {
  const { schema, writer, force } = request;
  const applied = request.configuration as JsonObject;
  const live = (request.live ?? { metadata: {} }) as JsonObject;
  const before = entriesBefore(request);
  const own = before.find((entry) => sameManager(entry, writer, "Apply"));
  const others = before.filter((entry) => entry !== own);
  const fields = appliedFields(schema, applied);
  const merged = mergeApplied(schema, live, applied);
  const owned = others.reduce((all, entry) => union(all, entry.fields), fields);
  const next = own === undefined ? merged : pruned(schema, merged, own.fields, owned);
  const changes = compareObjects(schema, live, next);
  const conflicts = others
    .map((owner) => ({ owner, fields: intersection(owner.fields, changes.changed) }))
    .filter((conflict) => !holdsNothing(conflict.fields));
  if (conflicts.length > 0 && !force) throw new ApplyConflictError(conflicts);
  const left = others.map((entry) => ({ ...entry, fields: without(entry.fields, changes) }));
  const unchanged = own !== undefined && sameFields(own.fields, fields) && jsonEquals(live, next);
  const time = unchanged ? own.time : writer.time;
  const entry: ManagedEntry = { ...writer, time, operation: "Apply", fields };
  return { object: next as KubeObject, managedFields: writeEntries([...left, entry]) };
}

/** Without owners everything counts as done by one who was there before. */
function entriesBefore({ schema, live, writer }: ApplyRequest): readonly ManagedEntry[] {
  if (live === undefined) return [];
  const entries = readEntries(live.metadata.managedFields) ?? [];
  if (entries.length > 0) return entries;
  const fields = createdFields(schema, live);
  return [{ ...writer, manager: BEFORE_FIRST_APPLY, operation: "Update", fields }];
}

const METADATA: FieldsV1 = { "f:metadata": LEAF };

/** Takes out what was applied last, unless it is still owned by anybody. */
function pruned(schema: Schema, merged: JsonObject, last: FieldsV1, owned: FieldsV1): JsonObject {
  // The name belongs to nobody, so that somebody has to keep the metadata.
  const kept = union(owned, METADATA);
  const dropped = difference(withNamedParents(schema, last), withNamedParents(schema, kept));
  return holdsNothing(dropped) ? merged : removeFields(schema, merged, dropped);
}

/**
 * Fields that a client-side apply wrote and nobody has changed since: what its annotation says and
 * the object still has. Whoever migrates to server-side apply may take these.
 */
export function unchangedSince(
  schema: Schema,
  lastApplied: Readonly<JsonObject>,
  live: Readonly<KubeObject>,
): FieldsV1 {
  const changes = compareObjects(schema, lastApplied, live);
  const changed = union(changes.changed, changes.removed);
  return difference(appliedFields(schema, lastApplied), changed);
}

/** The conflicts without the fields of the set. */
export function conflictsWithout(
  conflicts: readonly FieldConflict[],
  set: FieldsV1,
): FieldConflict[] {
  return conflicts
    .map(({ owner, fields }) => ({ owner, fields: difference(fields, set) }))
    .filter(({ fields }) => !holdsNothing(fields));
}
