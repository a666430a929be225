import {
  duplicateField,
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateIpAddress,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { checkOneOf, checkOptional, checkOptionalOneOf, reject } from "../../field-checks.ts";
import { checkAnnotations, checkLabels } from "../../meta/v1/labels-validation.ts";
import {
  checkContainers,
  checkEphemeralContainers,
  checkInitContainers,
  type PodContext,
} from "./container-validation.ts";
import { checkAffinity, checkTolerations, checkTopologySpread } from "./scheduling-validation.ts";
import type { Container, PodSpec, PodTemplateSpec } from "./types.ts";
import { checkVolumes } from "./volume-validation.ts";

const RESTART_POLICIES = ["Always", "Never", "OnFailure"];
const DNS_POLICIES = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
const MAX_INT32 = 2_147_483_647;

/** The template of a workload: its metadata and its pod. */
export function checkPodTemplate(
  errors: FieldError[],
  path: FieldPath,
  template: PodTemplateSpec | undefined,
): void {
  const metadata = template?.metadata;
  checkLabels(errors, path.child("metadata", "labels"), metadata?.labels);
  checkAnnotations(errors, path.child("metadata", "annotations"), metadata?.annotations);
  checkPodSpec(errors, path.child("spec"), template?.spec ?? { containers: [] });
  if ((template?.spec?.ephemeralContainers?.length ?? 0) > 0) {
    const detail = "ephemeral containers not allowed in pod template";
    errors.push(forbiddenField(path.child("spec", "ephemeralContainers"), detail));
  }
}

/** The pods of long-running workloads always restart, and have no deadline. */
export function checkLongRunning(
  errors: FieldError[],
  path: FieldPath,
  template: PodTemplateSpec | undefined,
  kind: string,
): void {
  const { restartPolicy = "", activeDeadlineSeconds } = template?.spec ?? {};
  if (restartPolicy !== "Always") {
    const at = path.child("spec", "restartPolicy");
    errors.push(notSupportedField(at, restartPolicy, ["Always"]));
  }
  if (activeDeadlineSeconds !== undefined) {
    const detail = `activeDeadlineSeconds in ${kind} is not Supported`;
    errors.push(forbiddenField(path.child("spec", "activeDeadlineSeconds"), detail));
  }
}

export function checkPodSpec(errors: FieldError[], path: FieldPath, spec: PodSpec): void {
  const context: PodContext = {
    volumes: checkVolumes(errors, path.child("volumes"), spec.volumes),
    names: new Set(),
  };
  checkContainers(errors, path.child("containers"), spec.containers, context);
  checkInitContainers(errors, path.child("initContainers"), spec.initContainers, context);
  const ephemeral = path.child("ephemeralContainers");
  checkEphemeralContainers(errors, ephemeral, spec.ephemeralContainers, context);
  checkOneOf(errors, path.child("restartPolicy"), spec.restartPolicy, RESTART_POLICIES);
  checkOneOf(errors, path.child("dnsPolicy"), spec.dnsPolicy, DNS_POLICIES);
  checkLabels(errors, path.child("nodeSelector"), spec.nodeSelector);
  checkHostNetwork(errors, path, spec);
  checkNames(errors, path, spec);
  checkAffinity(errors, path.child("affinity"), spec.affinity);
  checkDns(errors, path, spec);
  for (const [index, gate] of (spec.readinessGates ?? []).entries()) {
    const at = path.child("readinessGates").index(index).child("conditionType");
    reject(errors, at, gate.conditionType, validateQualifiedName(gate.conditionType ?? ""));
  }
  const spread = path.child("topologySpreadConstraints");
  checkTopologySpread(errors, spread, spec.topologySpreadConstraints);
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > MAX_INT32)) {
    const detail = `must be between 1 and ${MAX_INT32}, inclusive`;
    errors.push(invalidField(path.child("activeDeadlineSeconds"), deadline, detail));
  }
  checkTolerations(errors, path.child("tolerations"), spec.tolerations);
  checkHostAliases(errors, path.child("hostAliases"), spec);
  const preemption = path.child("preemptionPolicy");
  checkOptionalOneOf(errors, preemption, spec.preemptionPolicy, ["Never", "PreemptLowerPriority"]);
  if (spec.os !== undefined) {
    checkOneOf(errors, path.child("os", "name"), spec.os.name, ["linux", "windows"]);
  }
}

function checkNames(errors: FieldError[], path: FieldPath, spec: PodSpec): void {
  for (const field of ["hostname", "subdomain"] as const) {
    checkOptional(errors, path.child(field), spec[field], validateDns1123Label);
  }
  for (const field of [
    "serviceAccountName",
    "nodeName",
    "priorityClassName",
    "runtimeClassName",
  ] as const) {
    checkOptional(errors, path.child(field), spec[field], validateDns1123Subdomain);
  }
  for (const [index, secret] of (spec.imagePullSecrets ?? []).entries()) {
    if (!secret.name) {
      errors.push(requiredField(path.child("imagePullSecrets").index(index).child("name")));
    }
  }
  for (const [index, gate] of (spec.schedulingGates ?? []).entries()) {
    const at = path.child("schedulingGates").index(index);
    reject(errors, at, gate.name, validateQualifiedName(gate.name ?? ""));
  }
}

function checkDns(errors: FieldError[], path: FieldPath, spec: PodSpec): void {
  const nameservers = spec.dnsConfig?.nameservers ?? [];
  const at = path.child("dnsConfig", "nameservers");
  if (spec.dnsPolicy === "None") {
    if (spec.dnsConfig === undefined) {
      const detail = "must provide `dnsConfig` when `dnsPolicy` is None";
      errors.push(requiredField(path.child("dnsConfig"), detail));
    } else if (nameservers.length === 0) {
      const detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
      errors.push(requiredField(at, detail));
    }
  }
  for (const [index, server] of nameservers.entries()) {
    reject(errors, at.index(index), server, validateIpAddress(server));
  }
}

function checkHostAliases(errors: FieldError[], path: FieldPath, spec: PodSpec): void {
  for (const [index, alias] of (spec.hostAliases ?? []).entries()) {
    const at = path.index(index);
    reject(errors, at.child("ip"), alias.ip ?? "", validateIpAddress(alias.ip ?? ""));
    for (const [at2, hostname] of (alias.hostnames ?? []).entries()) {
      const messages = validateDns1123Subdomain(hostname);
      reject(errors, at.child("hostnames").index(at2), hostname, messages);
    }
  }
}

/** On the host's network, a container port is the host port. Two containers cannot share one. */
function checkHostNetwork(errors: FieldError[], path: FieldPath, spec: PodSpec): void {
  if (spec.hostNetwork === true) {
    checkHostPortsMatch(errors, path.child("containers"), spec.containers);
    checkHostPortsMatch(errors, path.child("initContainers"), spec.initContainers);
  }
  const taken = new Set<string>();
  for (const [index, container] of (spec.containers ?? []).entries()) {
    for (const [portIndex, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const key = `${port.protocol}/${port.hostIP ?? ""}/${port.hostPort}`;
      if (taken.has(key)) {
        const at = path.child("containers").index(index).child("ports").index(portIndex);
        errors.push(duplicateField(at.child("hostPort"), key));
      }
      taken.add(key);
    }
  }
}

function checkHostPortsMatch(
  errors: FieldError[],
  path: FieldPath,
  containers: readonly Container[] | undefined,
): void {
  for (const [index, container] of (containers ?? []).entries()) {
    for (const [portIndex, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort || port.hostPort === port.containerPort) continue;
      const at = path.index(index).child("ports").index(portIndex).child("containerPort");
      const detail = "must match `hostPort` when `hostNetwork` is true";
      errors.push(invalidField(at, port.containerPort, detail));
    }
  }
}
