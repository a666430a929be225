import type { KubeObject } from "../apimachinery/index.ts";
import { humanDuration, parseRfc3339 } from "../apimachinery/index.ts";
import type { TableColumn } from "./kind-logic.ts";
import type { Cell, Column } from "./resource-definition.ts";

/** What a cell shows where the object has no value. */
export const NONE = "<none>";
export const UNKNOWN = "<unknown>";
export const UNSET = "<unset>";

/** A column of text. */
export function column<T extends KubeObject>(
  name: string,
  description: string,
  cell: (object: T, now: number) => Cell,
): TableColumn<T> {
  return { name, type: "string", format: "", description, priority: 0, cell };
}

/** The same column, of another type. */
export function typed<T extends KubeObject>(
  type: Column["type"],
  original: TableColumn<T>,
): TableColumn<T> {
  return { ...original, type };
}

/** The same column, shown only with `-o wide`. */
export function wide<T extends KubeObject>(original: TableColumn<T>): TableColumn<T> {
  return { ...original, priority: 1 };
}

export const NAME_COLUMN: TableColumn<KubeObject> = {
  ...column("Name", "What the object is called.", (object) => object.metadata.name ?? ""),
  format: "name",
};

export const AGE_COLUMN: TableColumn<KubeObject> = column(
  "Age",
  "How long ago the object was created.",
  (object, now) => ageText(object.metadata.creationTimestamp, now),
);

/** For kinds without columns of their own. */
export const DEFAULT_COLUMNS: readonly TableColumn<KubeObject>[] = [
  NAME_COLUMN,
  column(
    "Created At",
    "When the object was created.",
    (object) => object.metadata.creationTimestamp ?? UNKNOWN,
  ),
];

/** Time since an RFC 3339 moment as text ("5d3h"); "<unknown>" without one. */
export function ageText(moment: string | undefined, now: number): string {
  if (moment === undefined || moment === "") return UNKNOWN;
  return humanDuration(now - parseRfc3339(moment));
}
