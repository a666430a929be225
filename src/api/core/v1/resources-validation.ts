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
    if (request === undefined || limit === undefined) continue;
    const difference = request.compare(limit);
    // What comes in whole pieces cannot be promised twice.
    const relation = isExtended(name) ? "equal to" : "less than or equal to";
    if (isExtended(name) ? difference === 0 : difference <= 0) continue;
    const detail = `must be ${relation} ${name} limit of ${limit.toString()}`;
    errors.push(invalidField(path.child("requests"), request.toString(), detail));
  }
}

/** Devices and the like: counted in whole pieces, named by who offers them. */
function isExtended(name: string): boolean {
  return name.includes("/") && !name.startsWith("kubernetes.io/");
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

/** An amount of things that cannot be divided. */
export function checkWhole(errors: FieldError[], path: FieldPath, text: string | undefined): void {
  const amount = quantityOf(text);
  if (amount === undefined || amount.milliValue() % 1000 === 0) return;
  errors.push(invalidField(path, text, "must be an integer"));
}

const STANDARD = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;

function checkContainerQuantities(
  errors: FieldError[],
  path: FieldPath,
  quantities: Quantities | undefined,
): void {
  for (const name in quantities) {
    const at = path.key(name);
    if (isExtended(name)) checkWhole(errors, at, quantities[name]);
    if (name.includes("/") || STANDARD.test(name)) continue;
    errors.push(invalidField(at, name, "must be a standard resource type or fully qualified"));
    errors.push(invalidField(at, name, "must be a standard resource for containers"));
  }
  checkQuantities(errors, path, quantities);
}
