import type { TypeTable } from "../apimachinery/index.ts";
import { admissionregistrationKinds } from "./admissionregistration/v1/kinds.ts";
import admissionregistrationResources from "./admissionregistration/v1/resources.json";
import admissionregistrationTypes from "./admissionregistration/v1/types.json";
import { apiextensionsKinds } from "./apiextensions/v1/kinds.ts";
import apiextensionsResources from "./apiextensions/v1/resources.json";
import apiextensionsTypes from "./apiextensions/v1/types.json";
import { appsKinds } from "./apps/v1/kinds.ts";
import appsResources from "./apps/v1/resources.json";
import appsTypes from "./apps/v1/types.json";
import { autoscalingV1Kinds } from "./autoscaling/v1/kinds.ts";
import authenticationResources from "./authentication/v1/resources.json";
import authenticationTypes from "./authentication/v1/types.json";
import authorizationResources from "./authorization/v1/resources.json";
import authorizationTypes from "./authorization/v1/types.json";
import autoscalingV1Resources from "./autoscaling/v1/resources.json";
import autoscalingV1Types from "./autoscaling/v1/types.json";
import { autoscalingV2Kinds } from "./autoscaling/v2/kinds.ts";
import autoscalingV2Resources from "./autoscaling/v2/resources.json";
import autoscalingV2Types from "./autoscaling/v2/types.json";
import { batchKinds } from "./batch/v1/kinds.ts";
import batchResources from "./batch/v1/resources.json";
import batchTypes from "./batch/v1/types.json";
import { certificatesKinds } from "./certificates/v1/kinds.ts";
import certificatesResources from "./certificates/v1/resources.json";
import certificatesTypes from "./certificates/v1/types.json";
import { coordinationKinds } from "./coordination/v1/kinds.ts";
import coordinationResources from "./coordination/v1/resources.json";
import coordinationTypes from "./coordination/v1/types.json";
import { coreKinds } from "./core/v1/kinds.ts";
import coreResources from "./core/v1/resources.json";
import coreTypes from "./core/v1/types.json";
import { discoveryKinds } from "./discovery/v1/kinds.ts";
import discoveryResources from "./discovery/v1/resources.json";
import discoveryTypes from "./discovery/v1/types.json";
import { eventsKinds } from "./events/v1/kinds.ts";
import eventsResources from "./events/v1/resources.json";
import eventsTypes from "./events/v1/types.json";
import type { KindTable } from "./kind-logic.ts";
import { kubunKinds } from "./kubun/v1/kinds.ts";
import kubunResources from "./kubun/v1/resources.json";
import kubunTypes from "./kubun/v1/types.json";
import { metricsKinds } from "./metrics/v1beta1/kinds.ts";
import metricsResources from "./metrics/v1beta1/resources.json";
import metricsTypes from "./metrics/v1beta1/types.json";
import metaTypes from "./meta/v1/types.json";
import { networkingKinds } from "./networking/v1/kinds.ts";
import networkingResources from "./networking/v1/resources.json";
import networkingTypes from "./networking/v1/types.json";
import { nodeKinds } from "./node/v1/kinds.ts";
import nodeResources from "./node/v1/resources.json";
import nodeTypes from "./node/v1/types.json";
import { policyKinds } from "./policy/v1/kinds.ts";
import policyResources from "./policy/v1/resources.json";
import policyTypes from "./policy/v1/types.json";
import { rbacKinds } from "./rbac/v1/kinds.ts";
import rbacResources from "./rbac/v1/resources.json";
import rbacTypes from "./rbac/v1/types.json";
import { schedulingKinds } from "./scheduling/v1/kinds.ts";
import schedulingResources from "./scheduling/v1/resources.json";
import schedulingTypes from "./scheduling/v1/types.json";
import { storageKinds } from "./storage/v1/kinds.ts";
import storageResources from "./storage/v1/resources.json";
import storageTypes from "./storage/v1/types.json";

/** One entry of a resources.json. */
export interface ResourceData {
  readonly kind: string;
  readonly namespaced: boolean;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources?: readonly {
    readonly subresource: string;
    readonly kind: string;
    readonly group: string;
    readonly version: string;
    readonly verbs: readonly string[];
  }[];
}

/** A served group-version: its resources as data, and the logic of its kinds. */
export interface GroupVersionData {
  readonly group: string;
  readonly version: string;
  /** What type names of this group-version start with: "core.v1". */
  readonly typePrefix: string;
  readonly resources: Readonly<Record<string, ResourceData>>;
  readonly kinds: KindTable;
}

function groupVersion(
  group: string,
  typePrefix: string,
  resources: Readonly<Record<string, ResourceData>>,
  kinds: KindTable,
): GroupVersionData {
  const version = typePrefix.slice(typePrefix.indexOf(".") + 1);
  return { group, version, typePrefix, resources, kinds };
}

/** Every served group-version, in the order discovery lists them. */
export const groupVersions: readonly GroupVersionData[] = [
  groupVersion("", "core.v1", coreResources, coreKinds),
  groupVersion("apps", "apps.v1", appsResources, appsKinds),
  groupVersion("events.k8s.io", "events.v1", eventsResources, eventsKinds),
  groupVersion("authentication.k8s.io", "authentication.v1", authenticationResources, {}),
  groupVersion("authorization.k8s.io", "authorization.v1", authorizationResources, {}),
  groupVersion("autoscaling", "autoscaling.v2", autoscalingV2Resources, autoscalingV2Kinds),
  groupVersion("autoscaling", "autoscaling.v1", autoscalingV1Resources, autoscalingV1Kinds),
  groupVersion("batch", "batch.v1", batchResources, batchKinds),
  groupVersion("certificates.k8s.io", "certificates.v1", certificatesResources, certificatesKinds),
  groupVersion("networking.k8s.io", "networking.v1", networkingResources, networkingKinds),
  groupVersion("policy", "policy.v1", policyResources, policyKinds),
  groupVersion("rbac.authorization.k8s.io", "rbac.v1", rbacResources, rbacKinds),
  groupVersion("storage.k8s.io", "storage.v1", storageResources, storageKinds),
  groupVersion(
    "admissionregistration.k8s.io",
    "admissionregistration.v1",
    admissionregistrationResources,
    admissionregistrationKinds,
  ),
  groupVersion(
    "apiextensions.k8s.io",
    "apiextensions.v1",
    apiextensionsResources,
    apiextensionsKinds,
  ),
  groupVersion("scheduling.k8s.io", "scheduling.v1", schedulingResources, schedulingKinds),
  groupVersion("coordination.k8s.io", "coordination.v1", coordinationResources, coordinationKinds),
  groupVersion("node.k8s.io", "node.v1", nodeResources, nodeKinds),
  groupVersion("discovery.k8s.io", "discovery.v1", discoveryResources, discoveryKinds),
  groupVersion("metrics.k8s.io", "metrics.v1beta1", metricsResources, metricsKinds),
  groupVersion("kubun.dev", "kubun.v1", kubunResources, kubunKinds),
];

/** Every type of the interface by its name ("core.v1.Pod"), in the notation of types.json. */
export const typeTable = {
  ...metaTypes,
  ...coreTypes,
  ...appsTypes,
  ...authenticationTypes,
  ...authorizationTypes,
  ...eventsTypes,
  ...autoscalingV1Types,
  ...autoscalingV2Types,
  ...batchTypes,
  ...certificatesTypes,
  ...networkingTypes,
  ...policyTypes,
  ...rbacTypes,
  ...storageTypes,
  ...schedulingTypes,
  ...coordinationTypes,
  ...nodeTypes,
  ...discoveryTypes,
  ...metricsTypes,
  ...kubunTypes,
  ...admissionregistrationTypes,
  ...apiextensionsTypes,
} as unknown as TypeTable;
