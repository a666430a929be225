import type { KubeObject, ListMeta, ObjectMeta } from "./meta.ts";

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  /** "name" marks the column that names the object; otherwise empty. */
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, 1 with `-o wide`. */
  readonly priority: number;
}

export type TableCell = string | number | boolean | null;

/** `includeObject` of a Table request: what each row carries of its object. */
export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableRow {
  readonly cells: readonly TableCell[];
  readonly object?: unknown;
}

/** metav1.Table: what `kubectl get` asks for instead of a list. */
export interface Table {
  readonly kind: "Table";
  readonly apiVersion: "meta.k8s.io/v1";
  readonly metadata: ListMeta;
  readonly columnDefinitions: readonly TableColumn[];
  readonly rows: readonly TableRow[];
}

export interface TableOptions<T extends KubeObject> {
  readonly columns: readonly TableColumn[];
  readonly objects: readonly T[];
  /** One cell a column. */
  readonly row: (object: T) => readonly TableCell[];
  /** The list's metadata, or an object's own. */
  readonly metadata: ListMeta;
  readonly includeObject: IncludeObject;
}

/** Rows of a watch after its first event go out without `columns`. */
export function buildTable<T extends KubeObject>(options: TableOptions<T>): Table {
  const { columns, objects, row, metadata, includeObject } = options;
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata,
    columnDefinitions: columns,
    rows: objects.map((object) => ({ cells: row(object), ...rowObject(object, includeObject) })),
  };
}

export interface PartialObjectMetadata {
  readonly kind: "PartialObjectMetadata";
  readonly apiVersion: "meta.k8s.io/v1";
  readonly metadata: ObjectMeta;
}

/** An object reduced to its metadata. */
export function partialObjectMetadata(object: KubeObject): PartialObjectMetadata {
  const { metadata } = object;
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
}

function rowObject(object: KubeObject, include: IncludeObject): { object?: unknown } {
  switch (include) {
    case "None":
      return {};
    case "Metadata":
      return { object: partialObjectMetadata(object) };
    case "Object":
      return { object };
  }
}
