import {
  type Namespace,
  NAMESPACES,
  type ObjectMeta,
  type Pod,
  PODS,
  type PodSpec,
} from "../../../api/index.ts";
import { forbidden, invalid, jsonEquals, type KubeObject } from "../../../apimachinery/index.ts";
import type { Lookup } from "../../lookup.ts";
import { type AdmissionPlugin, type AdmittedWrite, refusedName } from "../admission-plugin.ts";
import * as baseline from "./baseline-checks.ts";
import * as restricted from "./restricted-checks.ts";
import {
  compareLevels,
  type LevelVersion,
  levelText,
  securityLabelErrors,
  securityPolicy,
} from "./security-policy.ts";
import { checkedPod, type SecurityCheck, type Violation } from "./violation.ts";

/** Existing pods that are looked at when a namespace gets stricter. */
export const MAX_CHECKED_PODS = 3000;

/** The Pod Security Standards, in the order in which Kubernetes names what it finds. */
const BASELINE: readonly SecurityCheck[] = [
  baseline.checkAppArmor,
  baseline.checkCapabilities,
  baseline.checkHostNamespaces,
  baseline.checkHostPaths,
  baseline.checkHostPorts,
  baseline.checkProbeHosts,
  baseline.checkPrivileged,
  baseline.checkProcMount,
  baseline.checkSeLinux,
  baseline.checkSeccomp,
  baseline.checkSysctls,
  baseline.checkHostProcess,
];

/** What the stricter checks of the restricted level say too. */
const OVERRIDDEN: ReadonlySet<SecurityCheck> = new Set([
  baseline.checkCapabilities,
  baseline.checkHostPaths,
  baseline.checkSeccomp,
]);

const RESTRICTED: readonly SecurityCheck[] = [
  ...BASELINE.filter((check) => !OVERRIDDEN.has(check)),
  restricted.checkEscalation,
  restricted.checkDroppedCapabilities,
  restricted.checkVolumeTypes,
  restricted.checkNonRoot,
  restricted.checkUser,
  restricted.checkSeccompSet,
];

/** Where the pods of a kind are described. */
const TEMPLATES: ReadonlyMap<string, readonly string[]> = new Map([
  ["podtemplates", ["template"]],
  ["replicationcontrollers", ["spec", "template"]],
  ["replicasets.apps", ["spec", "template"]],
  ["deployments.apps", ["spec", "template"]],
  ["statefulsets.apps", ["spec", "template"]],
  ["daemonsets.apps", ["spec", "template"]],
  ["jobs.batch", ["spec", "template"]],
  ["cronjobs.batch", ["spec", "jobTemplate", "spec", "template"]],
]);

/** Holds pods to the Pod Security Standard that their namespace names in its labels. */
export const podSecurity: AdmissionPlugin = {
  name: "PodSecurity",
  kinds: new Set(["namespaces", "pods", ...TEMPLATES.keys()]),
  judge: (write) => {
    if (write.scope !== "object" && write.scope !== "ephemeralcontainers") return;
    const { group, resource } = write.definition;
    if (group === "" && resource === "namespaces") return judgeNamespace(write);
    if (group === "" && resource === "pods") return judgePod(write);
    judgeTemplate(write, TEMPLATES.get(group === "" ? resource : `${resource}.${group}`) ?? []);
  },
};

/** How a pod breaks a level; nothing when it does not. */
export function violationsOf(
  { level }: LevelVersion,
  metadata: Partial<ObjectMeta>,
  spec: PodSpec,
): Violation[] {
  if (level === "privileged") return [];
  const pod = checkedPod(metadata, spec);
  const checks = level === "baseline" ? BASELINE : RESTRICTED;
  return checks.map((check) => check(pod)).filter((violation) => violation !== undefined);
}

function judgePod(write: AdmittedWrite): void {
  const { definition, lookup, object, old } = write;
  const { metadata, spec } = object as Pod;
  if (spec === undefined || (old !== undefined && !isSignificant(object, old))) return;
  const { enforce, warn } = securityPolicy(labelsOf(lookup, metadata.namespace ?? ""));
  const refused = violationsOf(enforce, metadata, spec);
  if (refused.length > 0) {
    const why = `violates PodSecurity "${levelText(enforce)}": ${textOf(refused)}`;
    throw forbidden(definition, refusedName(object), why);
  }
  warnOf(write, warn, metadata, spec);
}

function judgeTemplate(write: AdmittedWrite, path: readonly string[]): void {
  const template = at(write.object, path) as Pick<Pod, "metadata" | "spec"> | undefined;
  if (template?.spec === undefined) return;
  const { warn } = securityPolicy(labelsOf(write.lookup, write.object.metadata.namespace ?? ""));
  warnOf(write, warn, template.metadata ?? {}, template.spec);
}

function at(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const field of path) value = (value as Record<string, unknown> | undefined)?.[field];
  return value;
}

function warnOf(
  { warn }: AdmittedWrite,
  level: LevelVersion,
  metadata: Partial<ObjectMeta>,
  spec: PodSpec,
): void {
  const violations = violationsOf(level, metadata, spec);
  if (violations.length === 0) return;
  warn(`would violate PodSecurity "${levelText(level)}": ${textOf(violations)}`);
}

function judgeNamespace({ definition, lookup, object, old, warn }: AdmittedWrite): void {
  const { labels, name = "" } = object.metadata;
  const errors = securityLabelErrors(labels);
  const known = securityLabelErrors(old?.metadata.labels);
  if (errors.length > 0 && !jsonEquals(errors, known)) throw invalid(definition, name, errors);
  if (old === undefined) return;
  const { enforce } = securityPolicy(labels);
  const before = securityPolicy(old.metadata.labels).enforce;
  const isStricter = compareLevels(enforce.level, before.level) > 0;
  if (!isStricter && enforce.version === before.version) return;
  for (const text of existingPodWarnings(lookup, name, enforce)) warn(text);
}

/** Which pods would not be let in any more, grouped by what they do. */
function existingPodWarnings(lookup: Lookup, namespace: string, enforce: LevelVersion): string[] {
  if (enforce.level === "privileged") return [];
  const pods = lookup.all(PODS, namespace);
  const namesByText = new Map<string, string[]>();
  for (const { metadata, spec } of pods.slice(0, MAX_CHECKED_PODS)) {
    const violations = spec === undefined ? [] : violationsOf(enforce, metadata, spec);
    if (violations.length === 0) continue;
    const text = violations.map(({ reason }) => reason).join(", ");
    namesByText.set(text, [...(namesByText.get(text) ?? []), metadata.name ?? ""]);
  }
  const warnings = [...namesByText].map(([text, names]) => `${whoOf(names)}: ${text}`).sort();
  if (warnings.length > 0) {
    const level = `violate the new PodSecurity enforce level "${levelText(enforce)}"`;
    warnings.unshift(`existing pods in namespace "${namespace}" ${level}`);
  }
  if (pods.length > MAX_CHECKED_PODS) {
    const some = `the first ${MAX_CHECKED_PODS} of ${pods.length} existing pods`;
    warnings.unshift(`new PodSecurity enforce level only checked against ${some}`);
  }
  return warnings;
}

function whoOf(names: string[]): string {
  const [first = "", ...others] = names.sort();
  if (others.length === 0) return first;
  const count = others.length;
  return `${first} (and ${count} other ${count === 1 ? "pod" : "pods"})`;
}

function textOf(violations: readonly Violation[]): string {
  return violations.map(({ reason, detail }) => `${reason} (${detail})`).join(", ");
}

function labelsOf(lookup: Lookup, namespace: string): Namespace["metadata"]["labels"] {
  return lookup.find(NAMESPACES, "", namespace)?.metadata.labels;
}

/** Of what can change in a pod, images and added containers are worth another look. */
function isSignificant(pod: Pod, old: Readonly<KubeObject>): boolean {
  const imagesOf = ({ spec }: Pod): unknown =>
    [spec?.containers, spec?.initContainers, spec?.ephemeralContainers].map((list) =>
      (list ?? []).map(({ name, image }) => [name, image]),
    );
  return !jsonEquals(imagesOf(pod), imagesOf(old));
}
