import {
  duplicateField,
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  requiredField,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateIpAddress,
  validatePortNumber,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import {
  checkName,
  checkOneOf,
  checkOptional,
  checkOptionalOneOf,
  checkPortNumberOrName,
  PROTOCOLS,
  reject,
} from "../../field-checks.ts";
import { checkLabels } from "../../meta/v1/labels-validation.ts";
import type { Service, ServicePort, ServiceSpec } from "./types.ts";

const SPEC = FieldPath.root("spec");
const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const TRAFFIC_POLICIES = ["Cluster", "Local"];
const IP_FAMILIES = ["IPv4", "IPv6"];
const FAMILY_POLICIES = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const MAX_AFFINITY_SECONDS = 86_400;

export function validateService({ spec = {} }: Service): FieldError[] {
  const errors: FieldError[] = [];
  const isHeadless = spec.clusterIP === "None";
  checkOneOf(errors, SPEC.child("type"), spec.type, TYPES);
  checkForType(errors, spec);
  checkPorts(errors, SPEC.child("ports"), spec);
  checkLabels(errors, SPEC.child("selector"), spec.selector);
  checkOneOf(errors, SPEC.child("sessionAffinity"), spec.sessionAffinity, ["ClientIP", "None"]);
  checkAffinitySeconds(errors, spec);
  if (!isHeadless)
    checkOptional(errors, SPEC.child("clusterIP"), spec.clusterIP, validateIpAddress);
  const firstIp = spec.clusterIPs?.[0];
  if (firstIp !== undefined && spec.clusterIP !== firstIp) {
    const detail = "first value must match `clusterIP`";
    errors.push(invalidField(SPEC.child("clusterIPs"), spec.clusterIPs, detail));
  }
  for (const [index, ip] of (spec.externalIPs ?? []).entries()) {
    reject(errors, SPEC.child("externalIPs").index(index), ip, validateIpAddress(ip));
  }
  const external = SPEC.child("externalTrafficPolicy");
  checkOptionalOneOf(errors, external, spec.externalTrafficPolicy, TRAFFIC_POLICIES);
  const internal = SPEC.child("internalTrafficPolicy");
  checkOptionalOneOf(errors, internal, spec.internalTrafficPolicy, TRAFFIC_POLICIES);
  checkOptionalOneOf(errors, SPEC.child("ipFamilyPolicy"), spec.ipFamilyPolicy, FAMILY_POLICIES);
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    checkOneOf(errors, SPEC.child("ipFamilies").index(index), family, IP_FAMILIES);
  }
  return errors;
}

/** An address is given once; a change of the type may give it back. */
export function validateServiceUpdate(next: Service, old: Service): FieldError[] {
  const before = old.spec?.clusterIP ?? "";
  const after = next.spec?.clusterIP ?? "";
  const keeps = next.spec?.type !== "ExternalName" && old.spec?.type !== "ExternalName";
  if (!keeps || before === "" || before === after) return [];
  const path = SPEC.child("clusterIPs").index(0);
  const value = next.spec?.clusterIPs ?? [after];
  return [invalidField(path, value, "may not change once set")];
}

function checkForType(errors: FieldError[], spec: ServiceSpec): void {
  const isHeadless = spec.clusterIP === "None";
  switch (spec.type ?? "") {
    case "ExternalName":
      if (spec.clusterIP || (spec.clusterIPs?.length ?? 0) > 0) {
        const detail = "may not be set for ExternalName services";
        errors.push(forbiddenField(SPEC.child("clusterIPs"), detail));
      }
      if (spec.externalName) {
        const name = spec.externalName.replace(/\.$/, "");
        reject(errors, SPEC.child("externalName"), name, validateDns1123Subdomain(name));
      } else {
        errors.push(requiredField(SPEC.child("externalName")));
      }
      return;
    case "LoadBalancer":
    case "NodePort":
      if (isHeadless) {
        const detail = `may not be set to 'None' for ${spec.type} services`;
        errors.push(invalidField(SPEC.child("clusterIPs").index(0), "None", detail));
      }
      break;
    default:
  }
  if ((spec.ports?.length ?? 0) === 0 && !isHeadless)
    errors.push(requiredField(SPEC.child("ports")));
}

function checkPorts(errors: FieldError[], path: FieldPath, spec: ServiceSpec): void {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = path.index(index);
    checkPort(errors, at, port, spec);
    if (!port.name && ports.length > 1) errors.push(requiredField(at.child("name")));
    if (port.name && names.has(port.name)) {
      errors.push(duplicateField(at.child("name"), port.name));
    }
    if (port.name) names.add(port.name);
    const number = `${port.protocol}/${port.port}`;
    if (numbers.has(number)) {
      errors.push(duplicateField(at, { protocol: port.protocol, port: port.port }));
    }
    numbers.add(number);
    if (!port.nodePort) continue;
    const nodePort = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(nodePort)) errors.push(duplicateField(at.child("nodePort"), port.nodePort));
    nodePorts.add(nodePort);
  }
}

function checkPort(
  errors: FieldError[],
  at: FieldPath,
  port: ServicePort,
  spec: ServiceSpec,
): void {
  if (port.name) checkName(errors, at.child("name"), port.name, validateDns1123Label);
  reject(errors, at.child("port"), port.port ?? 0, validatePortNumber(port.port ?? 0));
  checkOneOf(errors, at.child("protocol"), port.protocol, PROTOCOLS);
  checkPortNumberOrName(errors, at.child("targetPort"), port.targetPort);
  checkOptional(errors, at.child("appProtocol"), port.appProtocol, validateQualifiedName);
  const hasNodePorts = spec.type === "NodePort" || spec.type === "LoadBalancer";
  if (port.nodePort && !hasNodePorts) {
    const detail = `may not be used when \`type\` is '${spec.type ?? ""}'`;
    errors.push(forbiddenField(at.child("nodePort"), detail));
  } else if (port.nodePort) {
    reject(errors, at.child("nodePort"), port.nodePort, validatePortNumber(port.nodePort));
  }
}

function checkAffinitySeconds(errors: FieldError[], spec: ServiceSpec): void {
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined || (seconds > 0 && seconds <= MAX_AFFINITY_SECONDS)) return;
  const path = SPEC.child("sessionAffinityConfig", "clientIP", "timeoutSeconds");
  const detail = `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`;
  errors.push(invalidField(path, seconds, detail));
}
