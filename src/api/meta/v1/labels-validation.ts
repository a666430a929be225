import {
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  requiredField,
  tooLongField,
  validateLabelValue,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { reject } from "../../field-checks.ts";
import type { LabelSelector, LabelSelectorRequirement } from "./types.ts";

const MAX_ANNOTATIONS_BYTES = 256 * 1024;

type Texts = Readonly<Record<string, string>>;

export function checkLabels(
  errors: FieldError[],
  path: FieldPath,
  labels: Texts | undefined,
): void {
  for (const key in labels) {
    reject(errors, path, key, validateQualifiedName(key));
    const value = labels[key] ?? "";
    reject(errors, path, value, validateLabelValue(value));
  }
}

/** Keys as those of labels, but in either case; values of any kind, within a total size. */
export function checkAnnotations(
  errors: FieldError[],
  path: FieldPath,
  annotations: Texts | undefined,
): void {
  let bytes = 0;
  for (const key in annotations) {
    reject(errors, path, key, validateQualifiedName(key.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(annotations[key] ?? "");
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) errors.push(tooLongField(path, MAX_ANNOTATIONS_BYTES));
}

export function checkLabelSelector(
  errors: FieldError[],
  path: FieldPath,
  selector: LabelSelector | undefined,
): void {
  checkLabels(errors, path.child("matchLabels"), selector?.matchLabels);
  for (const [index, requirement] of (selector?.matchExpressions ?? []).entries()) {
    checkRequirement(errors, path.child("matchExpressions").index(index), requirement);
  }
}

/** Whether a selector says nothing: it would match everything. */
export function isEmptySelector(selector: LabelSelector | undefined): boolean {
  const { matchLabels, matchExpressions } = selector ?? {};
  return Object.keys(matchLabels ?? {}).length === 0 && (matchExpressions?.length ?? 0) === 0;
}

function checkRequirement(
  errors: FieldError[],
  path: FieldPath,
  { key, operator, values }: LabelSelectorRequirement,
): void {
  const hasValues = (values?.length ?? 0) > 0;
  switch (operator) {
    case "In":
    case "NotIn":
      if (!hasValues) {
        const detail = "must be specified when `operator` is 'In' or 'NotIn'";
        errors.push(requiredField(path.child("values"), detail));
      }
      break;
    case "Exists":
    case "DoesNotExist":
      if (hasValues) {
        const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
        errors.push(forbiddenField(path.child("values"), detail));
      }
      break;
    default: {
      const detail = "not a valid selector operator";
      errors.push(invalidField(path.child("operator"), operator ?? "", detail));
    }
  }
  reject(errors, path.child("key"), key ?? "", validateQualifiedName(key ?? ""));
  for (const [index, value] of (values ?? []).entries()) {
    reject(errors, path.child("values").index(index), value, validateLabelValue(value));
  }
}
