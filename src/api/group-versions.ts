import type { TypeTable } from "../apimachinery/index.ts";
import appsResources from "./apps/v1/resources.json";
import appsTypes from "./apps/v1/types.json";
import autoscalingV1Resources from "./autoscaling/v1/resources.json";
import autoscalingV1Types from "./autoscaling/v1/types.json";
import autoscalingV2Resources from "./autoscaling/v2/resources.json";
import autoscalingV2Types from "./autoscaling/v2/types.json";
import batchResources from "./batch/v1/resources.json";
import batchTypes from "./batch/v1/types.json";
import coordinationResources from "./coordination/v1/resources.json";
import coordinationTypes from "./coordination/v1/types.json";
import coreResources from "./core/v1/resources.json";
import coreTypes from "./core/v1/types.json";
import discoveryResources from "./discovery/v1/resources.json";
import discoveryTypes from "./discovery/v1/types.json";
import eventsResources from "./events/v1/resources.json";
import eventsTypes from "./events/v1/types.json";
import type { KindTable } from "./kind-logic.ts";
import metaTypes from "./meta/v1/types.json";
import networkingResources from "./networking/v1/resources.json";
import networkingTypes from "./networking/v1/types.json";
import nodeResources from "./node/v1/resources.json";
import nodeTypes from "./node/v1/types.json";
import policyResources from "./policy/v1/resources.json";
import policyTypes from "./policy/v1/types.json";
import rbacResources from "./rbac/v1/resources.json";
import rbacTypes from "./rbac/v1/types.json";
import schedulingResources from "./scheduling/v1/resources.json";
import schedulingTypes from "./scheduling/v1/types.json";
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
  groupVersion("", "core.v1", coreResources, {}),
  groupVersion("apps", "apps.v1", appsResources, {}),
  groupVersion("events.k8s.io", "events.v1", eventsResources, {}),
  groupVersion("autoscaling", "autoscaling.v2", autoscalingV2Resources, {}),
  groupVersion("autoscaling", "autoscaling.v1", autoscalingV1Resources, {}),
  groupVersion("batch", "batch.v1", batchResources, {}),
  groupVersion("networking.k8s.io", "networking.v1", networkingResources, {}),
  groupVersion("policy", "policy.v1", policyResources, {}),
  groupVersion("rbac.authorization.k8s.io", "rbac.v1", rbacResources, {}),
  groupVersion("storage.k8s.io", "storage.v1", storageResources, {}),
  groupVersion("scheduling.k8s.io", "scheduling.v1", schedulingResources, {}),
  groupVersion("coordination.k8s.io", "coordination.v1", coordinationResources, {}),
  groupVersion("node.k8s.io", "node.v1", nodeResources, {}),
  groupVersion("discovery.k8s.io", "discovery.v1", discoveryResources, {}),
];

/** Every type of the interface by its name ("core.v1.Pod"), in the notation of types.json. */
export const typeTable = {
  ...metaTypes,
  ...coreTypes,
  ...appsTypes,
  ...eventsTypes,
  ...autoscalingV1Types,
  ...autoscalingV2Types,
  ...batchTypes,
  ...networkingTypes,
  ...policyTypes,
  ...rbacTypes,
  ...storageTypes,
  ...schedulingTypes,
  ...coordinationTypes,
  ...nodeTypes,
  ...discoveryTypes,
} as unknown as TypeTable;
