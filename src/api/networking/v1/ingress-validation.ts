import {
  type FieldError,
  FieldPath,
  invalidField,
  notSupportedField,
  parseIpAddress,
  requiredField,
  validateDns1035Label,
  validateDns1123Subdomain,
  validatePortName,
  validatePortNumber,
  validateWildcardDns1123Subdomain,
} from "../../../apimachinery/index.ts";
import { checkName, checkOptional, checkPresent, reject } from "../../field-checks.ts";
import type { HTTPIngressPath, Ingress, IngressBackend, IngressRule } from "./types.ts";

const SPEC = FieldPath.root("spec");
const PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"];
/** What a proxy could read as another path than the one that is written. */
const AMBIGUOUS_PARTS = ["//", "/./", "/../", "%2f", "%2F"];
const AMBIGUOUS_ENDS = ["/..", "/."];

export function validateIngress({ spec = {} }: Ingress): FieldError[] {
  const errors: FieldError[] = [];
  const rules = spec.rules ?? [];
  if (rules.length === 0 && spec.defaultBackend === undefined) {
    const detail = "either `defaultBackend` or `rules` must be specified";
    errors.push(invalidField(SPEC, rules, detail));
  }
  if (spec.defaultBackend !== undefined) {
    checkBackend(errors, SPEC.child("defaultBackend"), spec.defaultBackend);
  }
  for (const [index, rule] of rules.entries()) {
    checkRule(errors, SPEC.child("rules").index(index), rule);
  }
  for (const [index, tls] of (spec.tls ?? []).entries()) {
    const at = SPEC.child("tls").index(index);
    for (const [hostIndex, host] of (tls.hosts ?? []).entries()) {
      checkHost(errors, at.child("hosts").index(hostIndex), host);
    }
    checkOptional(errors, at.child("secretName"), tls.secretName, validateDns1123Subdomain);
  }
  const className = SPEC.child("ingressClassName");
  checkOptional(errors, className, spec.ingressClassName, validateDns1123Subdomain);
  return errors;
}

function checkRule(errors: FieldError[], at: FieldPath, rule: IngressRule): void {
  if (rule.host) {
    if (parseIpAddress(rule.host) !== undefined) {
      const detail = "must be a DNS name, not an IP address";
      errors.push(invalidField(at.child("host"), rule.host, detail));
    }
    checkHost(errors, at.child("host"), rule.host);
  }
  if (rule.http === undefined) return;
  const paths = rule.http.paths ?? [];
  if (paths.length === 0) errors.push(requiredField(at.child("http", "paths")));
  for (const [index, path] of paths.entries()) {
    checkPath(errors, at.child("http", "paths").index(index), path);
  }
}

function checkHost(errors: FieldError[], at: FieldPath, host: string): void {
  const isWildcard = host.includes("*");
  const messages = isWildcard
    ? validateWildcardDns1123Subdomain(host)
    : validateDns1123Subdomain(host);
  reject(errors, at, host, messages);
}

function checkPath(errors: FieldError[], at: FieldPath, rule: Partial<HTTPIngressPath>): void {
  const { path = "", pathType, backend } = rule;
  if (pathType === undefined) {
    errors.push(requiredField(at.child("pathType"), "pathType must be specified"));
  } else if (!PATH_TYPES.includes(pathType)) {
    errors.push(notSupportedField(at.child("pathType"), pathType, PATH_TYPES));
  } else if (pathType === "ImplementationSpecific") {
    if (path !== "" && !path.startsWith("/")) {
      errors.push(invalidField(at.child("path"), path, "must be an absolute path"));
    }
  } else {
    checkExactPath(errors, at.child("path"), path);
  }
  checkBackend(errors, at.child("backend"), backend ?? {});
}

function checkExactPath(errors: FieldError[], at: FieldPath, path: string): void {
  if (!path.startsWith("/")) errors.push(invalidField(at, path, "must be an absolute path"));
  if (path === "") return;
  for (const part of AMBIGUOUS_PARTS) {
    if (path.includes(part)) errors.push(invalidField(at, path, `must not contain '${part}'`));
  }
  for (const end of AMBIGUOUS_ENDS) {
    if (path.endsWith(end)) errors.push(invalidField(at, path, `cannot end with '${end}'`));
  }
}

function checkBackend(errors: FieldError[], at: FieldPath, backend: IngressBackend): void {
  const { service, resource } = backend;
  if (service !== undefined && resource !== undefined) {
    const detail = "cannot set both resource and service backends";
    errors.push(invalidField(at, "", detail));
  } else if (resource !== undefined) {
    checkPresent(errors, at.child("resource", "kind"), resource.kind);
    checkPresent(errors, at.child("resource", "name"), resource.name);
  } else if (service !== undefined) {
    const serviceAt = at.child("service");
    checkName(errors, serviceAt.child("name"), service.name, validateDns1035Label);
    const { name = "", number = 0 } = service.port ?? {};
    const portAt = serviceAt.child("port");
    if (name !== "" && number !== 0) {
      errors.push(invalidField(portAt, "", "cannot set both port name & port number"));
    } else if (name !== "") {
      reject(errors, portAt.child("name"), name, validatePortName(name));
    } else if (number === 0) {
      errors.push(requiredField(portAt, "port name or number is required"));
    } else {
      reject(errors, portAt.child("number"), number, validatePortNumber(number));
    }
  } else {
    errors.push(invalidField(at, "", "resource or service backend is required"));
  }
}
