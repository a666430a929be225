import {
  type FieldError,
  FieldPath,
  requiredField,
  validateDns1123Label,
  validateIpAddress,
  validatePortNumber,
} from "../../../apimachinery/index.ts";
import { checkName, checkOneOf, PROTOCOLS, reject } from "../../field-checks.ts";
import type { Endpoints, EndpointSubset } from "./types.ts";

export function validateEndpoints({ subsets }: Endpoints): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, subset] of (subsets ?? []).entries()) {
    checkSubset(errors, FieldPath.root("subsets").index(index), subset);
  }
  return errors;
}

function checkSubset(errors: FieldError[], at: FieldPath, subset: EndpointSubset): void {
  const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
  if (addresses.length === 0 && notReadyAddresses.length === 0) {
    errors.push(requiredField(at, "must specify `addresses` or `notReadyAddresses`"));
  }
  for (const [field, list] of Object.entries({ addresses, notReadyAddresses })) {
    for (const [index, { ip }] of list.entries()) {
      reject(
        errors,
        at.child(field).index(index).child("ip"),
        ip ?? "",
        validateIpAddress(ip ?? ""),
      );
    }
  }
  for (const [index, port] of ports.entries()) {
    const portAt = at.child("ports").index(index);
    if (port.name) checkName(errors, portAt.child("name"), port.name, validateDns1123Label);
    else if (ports.length > 1) errors.push(requiredField(portAt.child("name")));
    reject(errors, portAt.child("port"), port.port ?? 0, validatePortNumber(port.port ?? 0));
    checkOneOf(errors, portAt.child("protocol"), port.protocol, PROTOCOLS);
  }
}
