import type { ManagedFieldsEntry } from "../meta.ts";
import { parseRfc3339 } from "../time.ts";
import { type FieldsV1, holdsNothing, NO_FIELDS, readFieldsV1, union } from "./fields-v1.ts";

/** Who writes, through which endpoint. */
export interface FieldWriter {
  /** `fieldManager` of the request, or else the name of the program that sent it. */
  readonly manager: string;
  /** "apps/v1", of the request. */
  readonly apiVersion: string;
  /** "" for the object itself. */
  readonly subresource: string;
  /** RFC 3339, of now. */
  readonly time: string;
}

/** An entry of metadata.managedFields, its set read. */
export interface ManagedEntry {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string | undefined;
  readonly fields: FieldsV1;
}

/** Updaters beyond so many are put together into one, the oldest first. */
export const MAX_UPDATE_MANAGERS = 10;
const ANCIENT = "ancient-changes";

/** Who changed an object of which nobody kept account until something was applied to it. */
export const BEFORE_FIRST_APPLY = "before-first-apply";

/** Reads managedFields; undefined when some entry makes no sense. */
export function readEntries(
  given: readonly ManagedFieldsEntry[] | undefined,
): readonly ManagedEntry[] | undefined {
  const entries: ManagedEntry[] = [];
  for (const { operation, apiVersion = "", fieldsType, fieldsV1, ...rest } of given ?? []) {
    if (operation !== "Apply" && operation !== "Update") return undefined;
    if (apiVersion === "" || fieldsType !== "FieldsV1") return undefined;
    const fields = fieldsV1 === undefined ? NO_FIELDS : readFieldsV1(fieldsV1);
    if (fields === undefined) return undefined;
    const { manager = "", subresource = "", time } = rest;
    entries.push({ manager, operation, apiVersion, subresource, time, fields });
  }
  return entries;
}

/** One empty entry: how a client asks that nobody owns anything any more. */
export function isReset(given: readonly ManagedFieldsEntry[] | undefined): boolean {
  return given?.length === 1 && Object.values(given[0] ?? {}).every((value) => value === undefined);
}

/** The entry that a write adds to. Appliers are the same in every version, updaters are not. */
export function sameManager(
  entry: ManagedEntry,
  writer: FieldWriter,
  operation: ManagedEntry["operation"],
): boolean {
  return (
    entry.operation === operation &&
    entry.manager === writer.manager &&
    entry.subresource === writer.subresource &&
    (operation === "Apply" || entry.apiVersion === writer.apiVersion)
  );
}

/** The entries as an object carries them: in order, without empty ones; undefined for none. */
export function writeEntries(entries: readonly ManagedEntry[]): ManagedFieldsEntry[] | undefined {
  const owning = capped(entries.filter(({ fields }) => !holdsNothing(fields)));
  if (owning.length === 0) return undefined;
  return owning.toSorted(compareEntries).map(writeEntry);
}

function writeEntry(entry: ManagedEntry): ManagedFieldsEntry {
  const { manager, operation, apiVersion, subresource, time, fields } = entry;
  return {
    manager,
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: "FieldsV1",
    fieldsV1: fields,
    ...(subresource === "" ? {} : { subresource }),
  };
}

function capped(entries: readonly ManagedEntry[]): readonly ManagedEntry[] {
  const updaters = entries.filter(({ operation }) => operation === "Update");
  if (updaters.length <= MAX_UPDATE_MANAGERS) return entries;
  // One more than is too many, because the bucket itself is an updater.
  const old = updaters.toSorted(compareEntries).slice(0, updaters.length - MAX_UPDATE_MANAGERS + 1);
  const buckets = new Map<string, ManagedEntry>();
  for (const entry of old) {
    const bucket = buckets.get(entry.apiVersion);
    const fields = union(bucket?.fields ?? NO_FIELDS, entry.fields);
    buckets.set(entry.apiVersion, { ...entry, manager: ANCIENT, subresource: "", fields });
  }
  return [...entries.filter((entry) => !old.includes(entry)), ...buckets.values()];
}

function compareEntries(a: ManagedEntry, b: ManagedEntry): number {
  return (
    compareText(a.operation, b.operation) ||
    secondsOf(a) - secondsOf(b) ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function secondsOf({ time }: ManagedEntry): number {
  const ms = time === undefined ? 0 : parseRfc3339(time);
  return Number.isNaN(ms) ? 0 : Math.floor(ms / 1000);
}
