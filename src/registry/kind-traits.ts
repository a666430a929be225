import type { ResourceDefinition } from "../api/index.ts";
import { groupResourceText } from "../apimachinery/index.ts";

/** Kinds that change what the API itself does. */
const EXTENSIONS = [
  "customresourcedefinitions.apiextensions.k8s.io",
  "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  "validatingwebhookconfigurations.admissionregistration.k8s.io",
  "validatingadmissionpolicies.admissionregistration.k8s.io",
  "validatingadmissionpolicybindings.admissionregistration.k8s.io",
] as const;

/** Kinds whose metadata.generation counts the changes of what is wanted. */
const WITH_GENERATION: ReadonlySet<string> = new Set([
  "pods",
  "replicationcontrollers",
  "deployments.apps",
  "replicasets.apps",
  "statefulsets.apps",
  "daemonsets.apps",
  "jobs.batch",
  "cronjobs.batch",
  "ingresses.networking.k8s.io",
  "ingressclasses.networking.k8s.io",
  "networkpolicies.networking.k8s.io",
  "servicecidrs.networking.k8s.io",
  "endpointslices.discovery.k8s.io",
  "poddisruptionbudgets.policy",
  "priorityclasses.scheduling.k8s.io",
  ...EXTENSIONS,
]);

/** A PUT of these creates what is missing. */
const CREATED_BY_UPDATE: ReadonlySet<string> = new Set([
  "endpoints",
  "events",
  "limitranges",
  "services",
  "events.events.k8s.io",
  "leases.coordination.k8s.io",
  "priorityclasses.scheduling.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
]);

/** A PUT of these must name the resourceVersion that it replaces. */
const UPDATED_CONDITIONALLY: ReadonlySet<string> = new Set([
  "leases.coordination.k8s.io",
  "poddisruptionbudgets.policy",
  "runtimeclasses.node.k8s.io",
  "csidrivers.storage.k8s.io",
  "csinodes.storage.k8s.io",
  "csistoragecapacities.storage.k8s.io",
  "volumeattachments.storage.k8s.io",
  ...EXTENSIONS,
]);

/** A status write may also change labels of these: agents keep facts there. */
const STATUS_WRITES_LABELS: ReadonlySet<string> = new Set(["pods", "nodes"]);

export interface KindTraits {
  readonly hasGeneration: boolean;
  readonly hasStatus: boolean;
  readonly createdByUpdate: boolean;
  readonly updatedConditionally: boolean;
  readonly statusWritesLabels: boolean;
}

export function traitsOf(definition: ResourceDefinition): KindTraits {
  const name = groupResourceText(definition);
  const isCustom = definition.custom !== undefined;
  return {
    hasGeneration: isCustom || WITH_GENERATION.has(name),
    hasStatus: definition.subresources.some((subresource) => subresource.name === "status"),
    createdByUpdate: CREATED_BY_UPDATE.has(name),
    updatedConditionally: isCustom || UPDATED_CONDITIONALLY.has(name),
    statusWritesLabels: STATUS_WRITES_LABELS.has(name),
  };
}
