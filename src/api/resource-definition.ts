import type { FieldError, JsonObject, KubeObject, Schema } from "../apimachinery/index.ts";

/** A cell of a Table row: what `kubectl get` prints in one column. */
export type Cell = string | number | boolean | null;

/** A column of a Table answer (metav1.TableColumnDefinition). */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  /** "name" marks the column that names the object; otherwise empty. */
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, 1 with `-o wide`. */
  readonly priority: number;
}

export interface Subresource {
  readonly name: string;
  readonly kind: string;
  /** Group and version of the body, where they are not the resource's own. */
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** Where a kind keeps what its scale subresource shows; absent for kinds that do not scale. */
export interface ScaleMapping {
  readonly specReplicasPath: readonly string[];
  readonly statusReplicasPath: readonly string[];
  /** Leads to a LabelSelector, a plain label map (ReplicationController), or a selector's text. */
  readonly selectorPath: readonly string[];
  readonly selectorForm: "label-selector" | "label-map" | "text";
}

/** What sets a custom resource apart from a kind that is built in. */
export interface CustomTraits {
  /** Name of its CustomResourceDefinition. */
  readonly definition: string;
  /** The version that objects are stored in. */
  readonly storedVersion: string;
  /** The definition is on its way out: its objects can still be read and deleted. */
  readonly terminating: boolean;
  /** What users of this version are told; absent for versions that are not deprecated. */
  readonly deprecation?: string;
  /** Schema of the version as the definition has it, for OpenAPI. */
  readonly openApi: JsonObject;
}

/**
 * Everything the servers and clients know about one served resource, as data and pure functions.
 * Objects handed in went through the decoder: fields that are there have the types of the schema
 * and are not null. Required ones may still be missing, which `validate` then says.
 */
export interface ResourceDefinition {
  readonly group: string;
  readonly version: string;
  /** Plural. */
  readonly resource: string;
  readonly kind: string;
  readonly listKind: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources: readonly Subresource[];
  /** Name of the kind's type in the type tables: "core.v1.Pod". */
  readonly typeName: string;
  /** Compiled at first use. */
  readonly schema: Schema;
  /** Whose keys the objects are stored under: two versions of a kind share one storage. */
  readonly storage: { readonly group: string; readonly resource: string };
  readonly scale?: ScaleMapping;
  /** Absent for kinds that are built in. */
  readonly custom?: CustomTraits;
  /** Only for kinds stored in another form: served → stored. Does not change its input. */
  toStorage?(object: KubeObject): KubeObject;
  /** The way back. Does not change its input. */
  fromStorage?(object: KubeObject): KubeObject;
  /** Fills in what Kubernetes fills in for absent fields, nested templates too; mutates. */
  defaults(object: KubeObject): void;
  /** Everything wrong with an object about to be created, its metadata included. */
  validate(object: KubeObject): FieldError[];
  /** Everything wrong with replacing `old` by `next`: what validate says, and immutable fields. */
  validateUpdate(next: KubeObject, old: KubeObject): FieldError[];
  readonly columns: readonly Column[];
  /** One cell a column; `now` is milliseconds since the Unix epoch. */
  row(object: KubeObject, now: number): Cell[];
  /** What field selectors may ask for, with the object's values; "" where unset. */
  selectableFields(object: KubeObject): Record<string, string>;
}
