import {
  type FieldError,
  FieldPath,
  forbiddenField,
  goQuote,
  immutableField,
  invalidField,
  requiredField,
  validateDns1123Label,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { reject } from "../../field-checks.ts";
import type { NameRule } from "../../kind-logic.ts";
import { SUBDOMAIN_NAME } from "../../name-rules.ts";
import { checkAnnotations, checkLabels } from "./labels-validation.ts";
import type { ObjectMeta, OwnerReference } from "./types.ts";

/** What the metadata of a kind must look like. */
export interface MetaRule {
  readonly namespaced: boolean;
  /** A DNS subdomain unless said otherwise. */
  readonly nameRule?: NameRule;
}

const METADATA = FieldPath.root("metadata");
/** Those that need no domain in their names. */
const STANDARD_FINALIZERS = ["foregroundDeletion", "kubernetes", "orphan"];

/** Everything wrong with the metadata of an object about to be created. */
export function validateObjectMeta(meta: ObjectMeta, rule: MetaRule): FieldError[] {
  const errors: FieldError[] = [];
  const nameRule = rule.nameRule ?? SUBDOMAIN_NAME;
  if (meta.generateName) {
    const messages = nameRule(meta.generateName, { prefix: true });
    reject(errors, METADATA.child("generateName"), meta.generateName, messages);
  }
  if (meta.name) {
    reject(errors, METADATA.child("name"), meta.name, nameRule(meta.name, { prefix: false }));
  } else {
    const detail = "name or generateName is required";
    errors.push(requiredField(METADATA.child("name"), detail));
  }
  checkNamespace(errors, meta, rule);
  if ((meta.generation ?? 0) < 0) {
    const detail = "must be greater than or equal to 0";
    errors.push(invalidField(METADATA.child("generation"), meta.generation, detail));
  }
  checkMutableMeta(errors, meta);
  return errors;
}

/** Everything wrong with a change of metadata. */
export function validateObjectMetaUpdate(next: ObjectMeta, old: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["name", "namespace", "uid"] as const) {
    if ((next[field] ?? "") !== (old[field] ?? "")) {
      errors.push(immutableField(METADATA.child(field), next[field] ?? ""));
    }
  }
  if (old.deletionTimestamp !== undefined) {
    const added = (next.finalizers ?? []).filter((name) => old.finalizers?.includes(name) !== true);
    if (added.length > 0) {
      const list = `[]string{${added.map((name) => goQuote(name)).join(", ")}}`;
      const detail =
        "no new finalizers can be added if the object is being deleted, " +
        `found new finalizers ${list}`;
      errors.push(forbiddenField(METADATA.child("finalizers"), detail));
    }
  }
  if (next.generation !== undefined && next.generation < (old.generation ?? 0)) {
    const detail = "must not be decremented";
    errors.push(invalidField(METADATA.child("generation"), next.generation, detail));
  }
  checkMutableMeta(errors, next, old.finalizers);
  return errors;
}

/** What of the metadata a client may set at any time; also that of pod templates. */
function checkMutableMeta(
  errors: FieldError[],
  meta: ObjectMeta,
  heldBefore: readonly string[] = [],
): void {
  if (meta.labels !== undefined) checkLabels(errors, METADATA.child("labels"), meta.labels);
  if (meta.annotations !== undefined) {
    checkAnnotations(errors, METADATA.child("annotations"), meta.annotations);
  }
  if (meta.ownerReferences !== undefined) checkOwners(errors, meta.ownerReferences);
  if (meta.finalizers !== undefined) checkFinalizers(errors, meta.finalizers, heldBefore);
}

function checkNamespace(errors: FieldError[], meta: ObjectMeta, rule: MetaRule): void {
  const path = METADATA.child("namespace");
  if (!rule.namespaced) {
    if (meta.namespace) errors.push(forbiddenField(path, "not allowed on this type"));
  } else if (meta.namespace) {
    reject(errors, path, meta.namespace, validateDns1123Label(meta.namespace));
  } else {
    errors.push(requiredField(path));
  }
}

function checkOwners(errors: FieldError[], owners: readonly OwnerReference[]): void {
  const path = METADATA.child("ownerReferences");
  let controller: OwnerReference | undefined;
  for (const owner of owners) {
    checkOwner(errors, path, owner);
    if (owner.controller !== true) continue;
    if (controller !== undefined) {
      const detail =
        "Only one reference can have Controller set to true. " +
        `Found "true" in references for ${ownerText(controller)} and ${ownerText(owner)}`;
      errors.push(invalidField(path, owners, detail));
    }
    controller = owner;
  }
}

function checkOwner(errors: FieldError[], path: FieldPath, owner: OwnerReference): void {
  if (!owner.apiVersion) {
    errors.push(invalidField(path.child("apiVersion"), "", "version must not be empty"));
  }
  for (const field of ["kind", "name", "uid"] as const) {
    if (!owner[field]) errors.push(invalidField(path.child(field), "", "must not be empty"));
  }
  if (owner.apiVersion === "v1" && owner.kind === "Event") {
    const detail = `/v1, Kind=Event is disallowed from being an owner`;
    errors.push(invalidField(path, owner, detail));
  }
}

function ownerText({ kind, name }: OwnerReference): string {
  return `${kind}/${name}`;
}

/** Finalizers that the object had before may stay, whatever their names. */
function checkFinalizers(
  errors: FieldError[],
  finalizers: readonly string[],
  heldBefore: readonly string[],
): void {
  const path = METADATA.child("finalizers");
  for (const [index, name] of finalizers.entries()) {
    const wrong = validateQualifiedName(name);
    reject(errors, path, name, wrong);
    const qualified = name.includes("/") || STANDARD_FINALIZERS.includes(name);
    if (wrong.length === 0 && !qualified && !heldBefore.includes(name)) {
      const detail = "name is neither a standard finalizer name nor is it fully qualified";
      errors.push(invalidField(path.index(index), name, detail));
    }
  }
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    const detail = "finalizer orphan and foregroundDeletion cannot be both set";
    errors.push(invalidField(path, finalizers, detail));
  }
}
