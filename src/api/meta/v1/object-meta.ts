import type { FieldError } from "../../../apimachinery/index.ts";
import type { NameRule } from "../../kind-logic.ts";
import type { ObjectMeta } from "./types.ts";

/** What the metadata of a kind must look like. */
export interface MetaRule {
  readonly namespaced: boolean;
  /** A DNS subdomain unless said otherwise. */
  readonly nameRule?: NameRule;
}

/** Everything wrong with the metadata of an object about to be created. */
export function validateObjectMeta(_meta: ObjectMeta, _rule: MetaRule): FieldError[] {
  return [];
}

/** Everything wrong with a change of metadata. */
export function validateObjectMetaUpdate(_next: ObjectMeta, _old: ObjectMeta): FieldError[] {
  return [];
}
