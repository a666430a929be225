import {
  duplicateField,
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  notFoundField,
  notSupportedField,
  requiredField,
  validateDns1123Label,
  validateLocalDescendingPath,
  validatePortName,
  validatePortNumber,
} from "../../../apimachinery/index.ts";
import { checkName, checkOneOf, checkPresent, PROTOCOLS, reject } from "../../field-checks.ts";
import { checkEnv, checkEnvFrom } from "./env-validation.ts";
import { checkLifecycle, checkProbes } from "./probe-validation.ts";
import { checkResources } from "./resources-validation.ts";
import type {
  Container,
  ContainerPort,
  EphemeralContainer,
  SecurityContext,
  VolumeMount,
} from "./types.ts";

const PULL_POLICIES = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES = ["FallbackToLogsOnError", "File"];
const RESTART_POLICIES = ["Always", "Never", "OnFailure"];

/** What the containers of one pod share. */
export interface PodContext {
  /** Names of the pod's volumes. */
  readonly volumes: ReadonlySet<string>;
  /** Names of containers seen so far: no two kinds of containers may share one. */
  readonly names: Set<string>;
}

export function checkContainers(
  errors: FieldError[],
  path: FieldPath,
  containers: readonly Container[] | undefined,
  context: PodContext,
): void {
  if ((containers?.length ?? 0) === 0) errors.push(requiredField(path));
  for (const [index, container] of (containers ?? []).entries()) {
    const at = path.index(index);
    checkContainer(errors, at, container, context);
    checkOneOfIfSet(errors, at.child("restartPolicy"), container.restartPolicy, RESTART_POLICIES);
    checkLifecycle(errors, at.child("lifecycle"), container.lifecycle);
    checkProbes(errors, at, container);
  }
}

export function checkInitContainers(
  errors: FieldError[],
  path: FieldPath,
  containers: readonly Container[] | undefined,
  context: PodContext,
): void {
  for (const [index, container] of (containers ?? []).entries()) {
    const at = path.index(index);
    checkContainer(errors, at, container, context);
    checkOneOfIfSet(errors, at.child("restartPolicy"), container.restartPolicy, RESTART_POLICIES);
    if (container.restartPolicy === "Always") {
      checkLifecycle(errors, at.child("lifecycle"), container.lifecycle);
      checkProbes(errors, at, container);
      continue;
    }
    for (const field of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const) {
      if (container[field] === undefined) continue;
      const detail = "may not be set for init containers without restartPolicy=Always";
      errors.push(forbiddenField(at.child(field), detail));
    }
  }
}

const NOT_EPHEMERAL = [
  "ports",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
] as const;

export function checkEphemeralContainers(
  errors: FieldError[],
  path: FieldPath,
  containers: readonly EphemeralContainer[] | undefined,
  context: PodContext,
): void {
  for (const [index, container] of (containers ?? []).entries()) {
    const at = path.index(index);
    checkContainer(errors, at, container, context);
    for (const field of NOT_EPHEMERAL) {
      if (container[field] === undefined) continue;
      const detail = "cannot be set for an Ephemeral Container";
      errors.push(forbiddenField(at.child(field), detail));
    }
  }
}

function checkContainer(
  errors: FieldError[],
  at: FieldPath,
  container: Container | EphemeralContainer,
  context: PodContext,
): void {
  checkName(errors, at.child("name"), container.name, validateDns1123Label);
  if (context.names.has(container.name)) {
    errors.push(duplicateField(at.child("name"), container.name));
  }
  context.names.add(container.name);
  const image = container.image ?? "";
  checkPresent(errors, at.child("image"), image);
  if (image !== image.trim()) {
    const detail = "must not have leading or trailing whitespace";
    errors.push(invalidField(at.child("image"), image, detail));
  }
  const messagePolicy = container.terminationMessagePolicy;
  checkOneOf(errors, at.child("terminationMessagePolicy"), messagePolicy, MESSAGE_POLICIES);
  checkOneOf(errors, at.child("imagePullPolicy"), container.imagePullPolicy, PULL_POLICIES);
  checkPorts(errors, at.child("ports"), container.ports);
  checkEnv(errors, at.child("env"), container.env);
  checkEnvFrom(errors, at.child("envFrom"), container.envFrom);
  checkMounts(errors, at.child("volumeMounts"), container.volumeMounts, context);
  checkResources(errors, at.child("resources"), container.resources);
  checkSecurityContext(errors, at.child("securityContext"), container.securityContext);
}

function checkOneOfIfSet(
  errors: FieldError[],
  path: FieldPath,
  value: string | undefined,
  supported: readonly string[],
): void {
  if (value !== undefined && !supported.includes(value)) {
    errors.push(notSupportedField(path, value, supported));
  }
}

function checkPorts(
  errors: FieldError[],
  path: FieldPath,
  ports: readonly ContainerPort[] | undefined,
): void {
  const names = new Set<string>();
  for (const [index, port] of (ports ?? []).entries()) {
    const at = path.index(index);
    if (port.name) {
      const messages = validatePortName(port.name);
      reject(errors, at.child("name"), port.name, messages);
      if (names.has(port.name)) errors.push(duplicateField(at.child("name"), port.name));
      names.add(port.name);
    }
    const number = port.containerPort ?? 0;
    if (number === 0) errors.push(requiredField(at.child("containerPort")));
    else reject(errors, at.child("containerPort"), number, validatePortNumber(number));
    if (port.hostPort) {
      reject(errors, at.child("hostPort"), port.hostPort, validatePortNumber(port.hostPort));
    }
    checkOneOf(errors, at.child("protocol"), port.protocol, PROTOCOLS);
  }
}

function checkMounts(
  errors: FieldError[],
  path: FieldPath,
  mounts: readonly VolumeMount[] | undefined,
  { volumes }: PodContext,
): void {
  const mountPaths = new Set<string>();
  for (const [index, mount] of (mounts ?? []).entries()) {
    const at = path.index(index);
    if (!mount.name) errors.push(requiredField(at.child("name")));
    if (!volumes.has(mount.name)) errors.push(notFoundField(at.child("name"), mount.name ?? ""));
    checkPresent(errors, at.child("mountPath"), mount.mountPath);
    if (mountPaths.has(mount.mountPath)) {
      errors.push(invalidField(at.child("mountPath"), mount.mountPath, "must be unique"));
    }
    mountPaths.add(mount.mountPath);
    if (mount.subPath && mount.subPathExpr) {
      const detail = "subPathExpr and subPath are mutually exclusive";
      errors.push(invalidField(at.child("subPathExpr"), mount.subPathExpr, detail));
    }
    for (const field of ["subPath", "subPathExpr"] as const) {
      const subPath = mount[field];
      if (subPath) reject(errors, at.child(field), subPath, validateLocalDescendingPath(subPath));
    }
  }
}

function checkSecurityContext(
  errors: FieldError[],
  path: FieldPath,
  context: SecurityContext | undefined,
): void {
  if (context === undefined) return;
  for (const field of ["runAsUser", "runAsGroup"] as const) {
    const id = context[field];
    if (id !== undefined && (id < 0 || id > 2_147_483_647)) {
      const detail = "must be between 0 and 2147483647, inclusive";
      errors.push(invalidField(path.child(field), id, detail));
    }
  }
  if (context.allowPrivilegeEscalation === false && context.privileged === true) {
    const detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
    errors.push(invalidField(path, context, detail));
  }
}
