import {
  type FieldError,
  FieldPath,
  invalidField,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { reject } from "../../field-checks.ts";
import type { Namespace } from "./types.ts";

const STANDARD_FINALIZERS = ["kubernetes", "orphan", "foregroundDeletion"];

export function validateNamespace({ spec }: Namespace): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of spec?.finalizers ?? []) {
    const path = FieldPath.root("spec", "finalizers");
    reject(errors, path, name, validateQualifiedName(name));
    if (!name.includes("/") && !STANDARD_FINALIZERS.includes(name)) {
      const detail = "name is neither a standard finalizer name nor is it fully qualified";
      errors.push(invalidField(path, name, detail));
    }
  }
  return errors;
}
