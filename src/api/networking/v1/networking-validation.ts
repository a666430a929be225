import {
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  ipRangeContains,
  notSupportedField,
  parseCidr,
  requiredField,
  tooLongField,
  tooManyField,
  validateCidr,
  validateDns1123Subdomain,
} from "../../../apimachinery/index.ts";
import {
  checkImmutable,
  checkName,
  checkOptionalOneOf,
  checkPortNumberOrName,
  checkPresent,
  PROTOCOLS,
  reject,
} from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import type {
  IngressClass,
  IPAddress,
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  ServiceCIDR,
} from "./types.ts";

const SPEC = FieldPath.root("spec");
const MAX_CONTROLLER_LENGTH = 250;

export function validateNetworkPolicy({ spec = {} }: NetworkPolicy): FieldError[] {
  const errors: FieldError[] = [];
  checkLabelSelector(errors, SPEC.child("podSelector"), spec.podSelector);
  for (const [index, rule] of (spec.ingress ?? []).entries()) {
    const at = SPEC.child("ingress").index(index);
    checkPolicyPorts(errors, at.child("ports"), rule.ports);
    checkPeers(errors, at.child("from"), rule.from);
  }
  for (const [index, rule] of (spec.egress ?? []).entries()) {
    const at = SPEC.child("egress").index(index);
    checkPolicyPorts(errors, at.child("ports"), rule.ports);
    checkPeers(errors, at.child("to"), rule.to);
  }
  const types = spec.policyTypes ?? [];
  if (types.length > 2) errors.push(tooManyField(SPEC.child("policyTypes"), types.length, 2));
  for (const [index, type] of types.entries()) {
    if (type === "Ingress" || type === "Egress") continue;
    const at = SPEC.child("policyTypes").index(index);
    errors.push(notSupportedField(at, type, ["Egress", "Ingress"]));
  }
  return errors;
}

export function validateIngressClass({ spec = {} }: IngressClass): FieldError[] {
  const errors: FieldError[] = [];
  const controller = spec.controller ?? "";
  if (controller.length > MAX_CONTROLLER_LENGTH) {
    errors.push(tooLongField(SPEC.child("controller"), MAX_CONTROLLER_LENGTH));
  }
  const [domain = "", path] = controller.split("/");
  checkPresent(errors, SPEC.child("controller"), controller);
  if (controller !== "" && path === undefined) {
    const detail = 'must be a domain-prefixed path (such as "acme.io/foo")';
    errors.push(invalidField(SPEC.child("controller"), controller, detail));
  } else if (controller !== "") {
    reject(errors, SPEC.child("controller"), controller, validateDns1123Subdomain(domain));
  }
  const parameters = spec.parameters;
  if (parameters === undefined) return errors;
  const at = SPEC.child("parameters");
  checkPresent(errors, at.child("kind"), parameters.kind);
  checkPresent(errors, at.child("name"), parameters.name);
  checkOptionalOneOf(errors, at.child("scope"), parameters.scope, ["Cluster", "Namespace"]);
  if (parameters.scope === "Namespace" && !parameters.namespace) {
    const detail = "`parameters.scope` is set to 'Namespace'";
    errors.push(requiredField(at.child("namespace"), detail));
  }
  if (parameters.scope === "Cluster" && parameters.namespace) {
    const detail = "`parameters.scope` is set to 'Cluster'";
    errors.push(forbiddenField(at.child("namespace"), detail));
  }
  return errors;
}

export function validateIngressClassUpdate(next: IngressClass, old: IngressClass): FieldError[] {
  const errors: FieldError[] = [];
  const path = SPEC.child("controller");
  checkImmutable(errors, path, next.spec?.controller, old.spec?.controller);
  return errors;
}

export function validateServiceCidr({ spec = {} }: ServiceCIDR): FieldError[] {
  const errors: FieldError[] = [];
  const cidrs = spec.cidrs ?? [];
  if (cidrs.length === 0) {
    errors.push(requiredField(SPEC.child("cidrs"), "at least one CIDR required"));
  }
  for (const [index, cidr] of cidrs.entries()) {
    reject(errors, SPEC.child("cidrs").index(index), cidr, validateCidr(cidr));
  }
  return errors;
}

export function validateIpAddressObject({ spec }: IPAddress): FieldError[] {
  const errors: FieldError[] = [];
  const at = SPEC.child("parentRef");
  if (spec?.parentRef === undefined) return [requiredField(at)];
  checkPresent(errors, at.child("resource"), spec.parentRef.resource);
  checkPresent(errors, at.child("name"), spec.parentRef.name);
  return errors;
}

function checkPolicyPorts(
  errors: FieldError[],
  path: FieldPath,
  ports: readonly NetworkPolicyPort[] | undefined,
): void {
  for (const [index, { protocol, port, endPort }] of (ports ?? []).entries()) {
    const at = path.index(index);
    checkOptionalOneOf(errors, at.child("protocol"), protocol, PROTOCOLS);
    if (port !== undefined) checkPortNumberOrName(errors, at.child("port"), port);
    if (endPort === undefined) continue;
    if (port === undefined) {
      const detail = "may not be specified when `port` is not specified";
      errors.push(invalidField(at.child("endPort"), endPort, detail));
    } else if (typeof port === "string") {
      const detail = "may not be specified when `port` is non-numeric";
      errors.push(invalidField(at.child("endPort"), endPort, detail));
    } else if (endPort < port) {
      const detail = "must be greater than or equal to `port`";
      errors.push(invalidField(at.child("endPort"), endPort, detail));
    }
  }
}

function checkPeers(
  errors: FieldError[],
  path: FieldPath,
  peers: readonly NetworkPolicyPeer[] | undefined,
): void {
  for (const [index, peer] of (peers ?? []).entries()) {
    const at = path.index(index);
    const { podSelector, namespaceSelector, ipBlock } = peer;
    checkLabelSelector(errors, at.child("podSelector"), podSelector);
    checkLabelSelector(errors, at.child("namespaceSelector"), namespaceSelector);
    if (ipBlock !== undefined) checkIpBlock(errors, at.child("ipBlock"), ipBlock);
    const hasSelector = podSelector !== undefined || namespaceSelector !== undefined;
    if (!hasSelector && ipBlock === undefined) {
      errors.push(requiredField(at, "must specify a peer"));
    } else if (hasSelector && ipBlock !== undefined) {
      const detail = "may not specify both ipBlock and another peer";
      errors.push(forbiddenField(at, detail));
    }
  }
}

function checkIpBlock(errors: FieldError[], at: FieldPath, block: IPBlock): void {
  checkName(errors, at.child("cidr"), block.cidr, validateCidr);
  const range = parseCidr(block.cidr ?? "");
  for (const [index, except] of (block.except ?? []).entries()) {
    const exceptAt = at.child("except").index(index);
    const inner = parseCidr(except);
    reject(errors, exceptAt, except, validateCidr(except));
    if (range === undefined || inner === undefined) continue;
    const first = { family: inner.family, value: inner.base };
    if (!ipRangeContains(range, first) || inner.prefixLength <= range.prefixLength) {
      const detail = "must be a strict subset of `cidr`";
      errors.push(invalidField(exceptAt, except, detail));
    }
  }
}
