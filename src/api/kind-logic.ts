import type { FieldError, KubeObject } from "../apimachinery/index.ts";
import type { Cell, Column, ScaleMapping } from "./resource-definition.ts";

/** Messages for what is wrong with a name; `prefix` when it is a generateName. */
export type NameRule = (name: string, options: { readonly prefix: boolean }) => string[];

/** A column together with how its cell is made from an object. */
export interface TableColumn<T extends KubeObject> extends Column {
  cell(object: T, now: number): Cell;
}

/**
 * What one kind adds to the data about it. Everything is optional: a kind without logic has a
 * DNS subdomain for a name, no defaults, and the columns Name and Created At.
 */
export interface KindLogic<T extends KubeObject = KubeObject> {
  readonly nameRule?: NameRule;
  /** Mutates. */
  defaults?(object: T): void;
  /** Metadata is checked elsewhere, alike for every kind. */
  validate?(object: T): FieldError[];
  /** Only what concerns the change; `validate` has run on `next`. */
  validateUpdate?(next: T, old: T): FieldError[];
  readonly columns?: readonly TableColumn<T>[];
  /** Beyond metadata.name and metadata.namespace. */
  selectableFields?(object: T): Record<string, string>;
  readonly scale?: ScaleMapping;
  readonly storage?: { readonly group: string; readonly resource: string };
  toStorage?(object: T): KubeObject;
  fromStorage?(object: KubeObject): T;
}

/** The kinds of one group-version that have logic of their own, by plural resource name. */
export type KindTable = Readonly<Record<string, KindLogic>>;
