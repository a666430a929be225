import type { GroupResource, KubeObject } from "../../apimachinery/index.ts";
import { groupResourceText } from "../../apimachinery/index.ts";
import type {
  PersistentVolumeClaim,
  Pod,
  PodAffinityTerm,
  ResourceQuota,
  ScopedResourceSelectorRequirement,
} from "../core/v1/types.ts";
import { isBestEffort } from "./pod-amounts.ts";
import { quotaKindOf } from "./quota-usage.ts";

/**
 * The names in `spec.hard` under which a quota counts an object; none when the object is outside
 * of its scopes. Scopes are about pods, one of them about claims; other kinds are in no scope.
 */
export function quotaNamesFor(
  quota: Readonly<ResourceQuota>,
  kind: GroupResource,
  object: Readonly<KubeObject>,
): readonly string[] {
  const name = groupResourceText(kind);
  const names = Object.keys(quota.spec?.hard ?? {}).filter((one) => quotaKindOf(one) === name);
  if (names.length === 0) return names;
  return requirementsOf(quota).every((scope) => isInScope(scope, name, object)) ? names : [];
}

function requirementsOf({
  spec,
}: Readonly<ResourceQuota>): readonly ScopedResourceSelectorRequirement[] {
  const plain = (spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists" }));
  return [...plain, ...(spec?.scopeSelector?.matchExpressions ?? [])];
}

function isInScope(
  { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement,
  kind: string,
  object: Readonly<KubeObject>,
): boolean {
  if (kind === "persistentvolumeclaims" && scopeName === "VolumeAttributesClass") {
    const { spec } = object as PersistentVolumeClaim;
    return selects(operator, values, spec?.volumeAttributesClassName);
  }
  if (kind !== "pods") return false;
  const pod = object as Pod;
  const isTerminating = (pod.spec?.activeDeadlineSeconds ?? -1) >= 0;
  switch (scopeName) {
    case "Terminating":
      return isTerminating;
    case "NotTerminating":
      return !isTerminating;
    case "BestEffort":
      return isBestEffort(pod);
    case "NotBestEffort":
      return !isBestEffort(pod);
    case "PriorityClass":
      return selects(operator, values, pod.spec?.priorityClassName);
    case "CrossNamespacePodAffinity":
      return affinityTerms(pod).some(
        ({ namespaces = [], namespaceSelector }) =>
          namespaces.length > 0 || namespaceSelector !== undefined,
      );
    default:
      return false;
  }
}

function selects(operator: string, values: readonly string[], value: string | undefined): boolean {
  const present = value !== undefined && value !== "";
  switch (operator) {
    case "In":
      return present && values.includes(value);
    case "NotIn":
      return !present || !values.includes(value);
    case "Exists":
      return present;
    case "DoesNotExist":
      return !present;
    default:
      return false;
  }
}

function affinityTerms({ spec }: Pod): readonly PodAffinityTerm[] {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  return [podAffinity, podAntiAffinity].flatMap((affinity) => [
    ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ podAffinityTerm }) => podAffinityTerm,
    ),
  ]);
}
