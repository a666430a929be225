import {
  duplicateField,
  type FieldError,
  FieldPath,
  invalidField,
  parseIpAddress,
  requiredField,
  tooManyField,
  validateDns1123Label,
  validateDns1123Subdomain,
  validatePortNumber,
} from "../../../apimachinery/index.ts";
import {
  checkImmutable,
  checkOneOf,
  checkOptional,
  PROTOCOLS,
  reject,
} from "../../field-checks.ts";
import type { Endpoint, EndpointSlice } from "./types.ts";

const ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"];
const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20_000;

export function validateEndpointSlice(slice: EndpointSlice): FieldError[] {
  const errors: FieldError[] = [];
  checkOneOf(errors, FieldPath.root("addressType"), slice.addressType, ADDRESS_TYPES);
  const endpoints = slice.endpoints ?? [];
  const path = FieldPath.root("endpoints");
  if (endpoints.length > MAX_ENDPOINTS) {
    errors.push(tooManyField(path, endpoints.length, MAX_ENDPOINTS));
  }
  for (const [index, endpoint] of endpoints.slice(0, MAX_ENDPOINTS).entries()) {
    checkEndpoint(errors, path.index(index), endpoint, slice.addressType);
  }
  checkPorts(errors, FieldPath.root("ports"), slice);
  return errors;
}

export function validateEndpointSliceUpdate(next: EndpointSlice, old: EndpointSlice): FieldError[] {
  const errors: FieldError[] = [];
  checkImmutable(errors, FieldPath.root("addressType"), next.addressType, old.addressType);
  return errors;
}

function checkEndpoint(
  errors: FieldError[],
  at: FieldPath,
  endpoint: Endpoint,
  addressType: string,
): void {
  const addresses: readonly string[] = endpoint.addresses ?? [];
  const path = at.child("addresses");
  if (addresses.length === 0) {
    errors.push(requiredField(path, "must contain at least 1 address"));
  } else if (addresses.length > MAX_ADDRESSES) {
    errors.push(tooManyField(path, addresses.length, MAX_ADDRESSES));
  }
  for (const [index, address] of addresses.entries()) {
    reject(errors, path.index(index), address, addressMessages(address, addressType));
  }
  checkOptional(errors, at.child("hostname"), endpoint.hostname, validateDns1123Label);
  checkOptional(errors, at.child("nodeName"), endpoint.nodeName, validateDns1123Subdomain);
}

function addressMessages(address: string, addressType: string): string[] {
  if (addressType === "FQDN") return validateDns1123Subdomain(address);
  const family = parseIpAddress(address)?.family;
  if (addressType === "IPv4" && family !== 4) return ["must be an IPv4 address"];
  if (addressType === "IPv6" && family !== 6) return ["must be an IPv6 address"];
  return [];
}

function checkPorts(errors: FieldError[], path: FieldPath, { ports = [] }: EndpointSlice): void {
  if (ports.length > MAX_PORTS) errors.push(tooManyField(path, ports.length, MAX_PORTS));
  const names = new Set<string>();
  for (const [index, { name = "", port, protocol }] of ports.entries()) {
    const at = path.index(index);
    if (name !== "") reject(errors, at.child("name"), name, validateDns1123Label(name));
    if (names.has(name)) errors.push(duplicateField(at.child("name"), name));
    names.add(name);
    if (port !== undefined && validatePortNumber(port).length > 0) {
      errors.push(invalidField(at.child("port"), port, "must be between 1 and 65535, inclusive"));
    }
    checkOneOf(errors, at.child("protocol"), protocol, PROTOCOLS);
  }
}
