import {
  type FieldError,
  type FieldPath,
  invalidField,
  Quantity,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { quantityOf, reject } from "../../field-checks.ts";
import type { ResourceRequirements } from "./types.ts";

type Quantities = Readonly<Record<string, string>>;

const NOT_NEGATIVE = "must be greater than or equal to 0";

/** Requests and limits: known names, nothing negative, no request above its limit. */
export function checkResources(
  errors: FieldError[],
  path: FieldPath,
  resources: ResourceRequirements | undefined,
): void {
  if (resources === undefined) return;
  checkContainerQuantities(errors, path.child("limits"), resources.limits);
  checkContainerQuantities(errors, path.child("requests"), resources.requests);
  for (const name in resources.requests) {
    const request = quantityOf(resources.requests[name]);
    const limit = quantityOf(resources.limits?.[name]);
    if (request === undefined || limit === undefined || request.compare(limit) <= 0) continue;
    const detail = `must be less than or equal to ${name} limit of ${limit.toString()}`;
    errors.push(invalidField(path.child("requests"), request.toString(), detail));
  }
}

/** Any amounts by resource name. */
export function checkQuantities(
  errors: FieldError[],
  path: FieldPath,
  quantities: Quantities | undefined,
): void {
  for (const name in quantities) {
    const at = path.key(name);
    reject(errors, at, name, validateQualifiedName(name));
    if (quantityOf(quantities[name])?.compare(Quantity.zero) === -1) {
      errors.push(invalidField(at, quantities[name], NOT_NEGATIVE));
    }
  }
}

const STANDARD = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;

function checkContainerQuantities(
  errors: FieldError[],
  path: FieldPath,
  quantities: Quantities | undefined,
): void {
  for (const name in quantities) {
    if (name.includes("/") || STANDARD.test(name)) continue;
    const at = path.key(name);
    errors.push(invalidField(at, name, "must be a standard resource type or fully qualified"));
    errors.push(invalidField(at, name, "must be a standard resource for containers"));
  }
  checkQuantities(errors, path, quantities);
}
