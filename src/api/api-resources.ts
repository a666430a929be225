import type { CertificateSigningRequest } from "./certificates/v1/types.ts";
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from "./admissionregistration/v1/types.ts";
import type { CustomResourceDefinition } from "./apiextensions/v1/types.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import type { ApiResource } from "./api-resource.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "./storage/v1/types.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "./rbac/v1/types.ts";
import type {
  ComponentStatus,
  ConfigMap,
  Endpoints,
  Event,
  LimitRange,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodTemplate,
  ReplicationController,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
} from "./core/v1/types.ts";
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from "./apps/v1/types.ts";
import type { CronJob, Job } from "./batch/v1/types.ts";
import type { EndpointSlice } from "./discovery/v1/types.ts";
import type { Event as K8sEvent } from "./events/v1/types.ts";
import type { KeyValueStore } from "./kubun/v1/types.ts";
import type { NodeMetrics, PodMetrics } from "./metrics/v1beta1/types.ts";
import type { HorizontalPodAutoscaler as OldAutoscaler } from "./autoscaling/v1/types.ts";
import type { HorizontalPodAutoscaler } from "./autoscaling/v2/types.ts";
import type {
  IPAddress,
  Ingress,
  IngressClass,
  NetworkPolicy,
  ServiceCIDR,
} from "./networking/v1/types.ts";
import type { Lease } from "./coordination/v1/types.ts";
import type { PodDisruptionBudget } from "./policy/v1/types.ts";
import type { PriorityClass } from "./scheduling/v1/types.ts";
import type { RuntimeClass } from "./node/v1/types.ts";

type Maker = <T extends KubeObject>(resource: string, kind: string) => ApiResource<T>;

function inNamespaces(group: string, version = "v1"): Maker {
  return (resource, kind) => ({ group, version, resource, kind, namespaced: true });
}

function inCluster(group: string, version = "v1"): Maker {
  return (resource, kind) => ({ group, version, resource, kind, namespaced: false });
}

const clusterCore = inCluster("");
const core = inNamespaces("");
const apps = inNamespaces("apps");
const batch = inNamespaces("batch");
const coordination = inNamespaces("coordination.k8s.io");
const discovery = inNamespaces("discovery.k8s.io");
const clusterNetworking = inCluster("networking.k8s.io");
const networking = inNamespaces("networking.k8s.io");
const clusterExtensions = inCluster("apiextensions.k8s.io");
const clusterAdmission = inCluster("admissionregistration.k8s.io");
const clusterCertificates = inCluster("certificates.k8s.io");
const clusterNode = inCluster("node.k8s.io");
const policy = inNamespaces("policy");
const clusterRbac = inCluster("rbac.authorization.k8s.io");
const rbac = inNamespaces("rbac.authorization.k8s.io");
const clusterScheduling = inCluster("scheduling.k8s.io");
const clusterStorage = inCluster("storage.k8s.io");
const storage = inNamespaces("storage.k8s.io");
const autoscalingV2 = inNamespaces("autoscaling", "v2");
const autoscalingV1 = inNamespaces("autoscaling");
const clusterMetrics = inCluster("metrics.k8s.io", "v1beta1");
const metrics = inNamespaces("metrics.k8s.io", "v1beta1");
const events = inNamespaces("events.k8s.io");
const kubun = inNamespaces("kubun.dev");

export const CERTIFICATE_SIGNING_REQUESTS = clusterCertificates<CertificateSigningRequest>(
  "certificatesigningrequests",
  "CertificateSigningRequest",
);
export const COMPONENT_STATUSES = clusterCore<ComponentStatus>(
  "componentstatuses",
  "ComponentStatus",
);
export const CONFIG_MAPS = core<ConfigMap>("configmaps", "ConfigMap");
export const ENDPOINTS = core<Endpoints>("endpoints", "Endpoints");
export const EVENTS = core<Event>("events", "Event");
export const LIMIT_RANGES = core<LimitRange>("limitranges", "LimitRange");
export const NAMESPACES = clusterCore<Namespace>("namespaces", "Namespace");
export const NODES = clusterCore<Node>("nodes", "Node");
export const PERSISTENT_VOLUME_CLAIMS = core<PersistentVolumeClaim>(
  "persistentvolumeclaims",
  "PersistentVolumeClaim",
);
export const PERSISTENT_VOLUMES = clusterCore<PersistentVolume>(
  "persistentvolumes",
  "PersistentVolume",
);
export const PODS = core<Pod>("pods", "Pod");
export const POD_TEMPLATES = core<PodTemplate>("podtemplates", "PodTemplate");
export const REPLICATION_CONTROLLERS = core<ReplicationController>(
  "replicationcontrollers",
  "ReplicationController",
);
export const RESOURCE_QUOTAS = core<ResourceQuota>("resourcequotas", "ResourceQuota");
export const SECRETS = core<Secret>("secrets", "Secret");
export const SERVICE_ACCOUNTS = core<ServiceAccount>("serviceaccounts", "ServiceAccount");
export const SERVICES = core<Service>("services", "Service");
export const CONTROLLER_REVISIONS = apps<ControllerRevision>(
  "controllerrevisions",
  "ControllerRevision",
);
export const DAEMON_SETS = apps<DaemonSet>("daemonsets", "DaemonSet");
export const DEPLOYMENTS = apps<Deployment>("deployments", "Deployment");
export const REPLICA_SETS = apps<ReplicaSet>("replicasets", "ReplicaSet");
export const STATEFUL_SETS = apps<StatefulSet>("statefulsets", "StatefulSet");
export const CRON_JOBS = batch<CronJob>("cronjobs", "CronJob");
export const JOBS = batch<Job>("jobs", "Job");
export const LEASES = coordination<Lease>("leases", "Lease");
export const ENDPOINT_SLICES = discovery<EndpointSlice>("endpointslices", "EndpointSlice");
export const INGRESS_CLASSES = clusterNetworking<IngressClass>("ingressclasses", "IngressClass");
export const INGRESSES = networking<Ingress>("ingresses", "Ingress");
export const IP_ADDRESSES = clusterNetworking<IPAddress>("ipaddresses", "IPAddress");
export const NETWORK_POLICIES = networking<NetworkPolicy>("networkpolicies", "NetworkPolicy");
export const SERVICE_CIDRS = clusterNetworking<ServiceCIDR>("servicecidrs", "ServiceCIDR");
export const RUNTIME_CLASSES = clusterNode<RuntimeClass>("runtimeclasses", "RuntimeClass");
export const POD_DISRUPTION_BUDGETS = policy<PodDisruptionBudget>(
  "poddisruptionbudgets",
  "PodDisruptionBudget",
);
export const CLUSTER_ROLE_BINDINGS = clusterRbac<ClusterRoleBinding>(
  "clusterrolebindings",
  "ClusterRoleBinding",
);
export const CLUSTER_ROLES = clusterRbac<ClusterRole>("clusterroles", "ClusterRole");
export const ROLE_BINDINGS = rbac<RoleBinding>("rolebindings", "RoleBinding");
export const ROLES = rbac<Role>("roles", "Role");
export const PRIORITY_CLASSES = clusterScheduling<PriorityClass>(
  "priorityclasses",
  "PriorityClass",
);
export const CSI_DRIVERS = clusterStorage<CSIDriver>("csidrivers", "CSIDriver");
export const CSI_NODES = clusterStorage<CSINode>("csinodes", "CSINode");
export const CSI_STORAGE_CAPACITIES = storage<CSIStorageCapacity>(
  "csistoragecapacities",
  "CSIStorageCapacity",
);
export const STORAGE_CLASSES = clusterStorage<StorageClass>("storageclasses", "StorageClass");
export const VOLUME_ATTACHMENTS = clusterStorage<VolumeAttachment>(
  "volumeattachments",
  "VolumeAttachment",
);
export const VOLUME_ATTRIBUTES_CLASSES = clusterStorage<VolumeAttributesClass>(
  "volumeattributesclasses",
  "VolumeAttributesClass",
);
export const HORIZONTAL_POD_AUTOSCALERS = autoscalingV2<HorizontalPodAutoscaler>(
  "horizontalpodautoscalers",
  "HorizontalPodAutoscaler",
);
export const HORIZONTAL_POD_AUTOSCALERS_V1 = autoscalingV1<OldAutoscaler>(
  "horizontalpodautoscalers",
  "HorizontalPodAutoscaler",
);
export const EVENTS_K8S_IO = events<K8sEvent>("events", "Event");
export const NODE_METRICS = clusterMetrics<NodeMetrics>("nodes", "NodeMetrics");
export const POD_METRICS = metrics<PodMetrics>("pods", "PodMetrics");
export const KEY_VALUE_STORES = kubun<KeyValueStore>("keyvaluestores", "KeyValueStore");
export const CUSTOM_RESOURCE_DEFINITIONS = clusterExtensions<CustomResourceDefinition>(
  "customresourcedefinitions",
  "CustomResourceDefinition",
);
export const MUTATING_WEBHOOK_CONFIGURATIONS = clusterAdmission<MutatingWebhookConfiguration>(
  "mutatingwebhookconfigurations",
  "MutatingWebhookConfiguration",
);
export const VALIDATING_WEBHOOK_CONFIGURATIONS = clusterAdmission<ValidatingWebhookConfiguration>(
  "validatingwebhookconfigurations",
  "ValidatingWebhookConfiguration",
);
export const VALIDATING_ADMISSION_POLICIES = clusterAdmission<ValidatingAdmissionPolicy>(
  "validatingadmissionpolicies",
  "ValidatingAdmissionPolicy",
);
export const VALIDATING_ADMISSION_POLICY_BINDINGS =
  clusterAdmission<ValidatingAdmissionPolicyBinding>(
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
  );
