import type {
  ConfigMap,
  CronJob,
  DaemonSet,
  Deployment,
  Endpoints,
  EndpointSlice,
  Event,
  Ingress,
  IngressClass,
  Job,
  Lease,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PriorityClass,
  ReplicaSet,
  RuntimeClass,
  Secret,
  Service,
  ServiceAccount,
  StatefulSet,
} from "../api/index.ts";
import type { KubeObject } from "./kube-object.ts";

declare const objectType: unique symbol;

/** Names a collection of the API and, by its type parameter, the shape of what is in it. */
export interface ApiResource<T extends KubeObject = KubeObject> {
  /** `""` for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, as it stands in paths: `pods`. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly [objectType]?: T;
}

function namespaced<T extends KubeObject>(
  group: string,
  resource: string,
  kind: string,
): ApiResource<T> {
  return { group, version: "v1", resource, kind, namespaced: true };
}

function clusterWide<T extends KubeObject>(
  group: string,
  resource: string,
  kind: string,
): ApiResource<T> {
  return { group, version: "v1", resource, kind, namespaced: false };
}

export const CONFIG_MAPS = namespaced<ConfigMap>("", "configmaps", "ConfigMap");
export const ENDPOINTS = namespaced<Endpoints>("", "endpoints", "Endpoints");
export const EVENTS = namespaced<Event>("", "events", "Event");
export const NAMESPACES = clusterWide<Namespace>("", "namespaces", "Namespace");
export const NODES = clusterWide<Node>("", "nodes", "Node");
export const PERSISTENT_VOLUMES = clusterWide<PersistentVolume>(
  "",
  "persistentvolumes",
  "PersistentVolume",
);
export const PERSISTENT_VOLUME_CLAIMS = namespaced<PersistentVolumeClaim>(
  "",
  "persistentvolumeclaims",
  "PersistentVolumeClaim",
);
export const PODS = namespaced<Pod>("", "pods", "Pod");
export const SECRETS = namespaced<Secret>("", "secrets", "Secret");
export const SERVICES = namespaced<Service>("", "services", "Service");
export const SERVICE_ACCOUNTS = namespaced<ServiceAccount>("", "serviceaccounts", "ServiceAccount");
export const DAEMON_SETS = namespaced<DaemonSet>("apps", "daemonsets", "DaemonSet");
export const DEPLOYMENTS = namespaced<Deployment>("apps", "deployments", "Deployment");
export const REPLICA_SETS = namespaced<ReplicaSet>("apps", "replicasets", "ReplicaSet");
export const STATEFUL_SETS = namespaced<StatefulSet>("apps", "statefulsets", "StatefulSet");
export const CRON_JOBS = namespaced<CronJob>("batch", "cronjobs", "CronJob");
export const JOBS = namespaced<Job>("batch", "jobs", "Job");
export const LEASES = namespaced<Lease>("coordination.k8s.io", "leases", "Lease");
export const ENDPOINT_SLICES = namespaced<EndpointSlice>(
  "discovery.k8s.io",
  "endpointslices",
  "EndpointSlice",
);
export const INGRESSES = namespaced<Ingress>("networking.k8s.io", "ingresses", "Ingress");
export const INGRESS_CLASSES = clusterWide<IngressClass>(
  "networking.k8s.io",
  "ingressclasses",
  "IngressClass",
);
export const RUNTIME_CLASSES = clusterWide<RuntimeClass>(
  "node.k8s.io",
  "runtimeclasses",
  "RuntimeClass",
);
export const PRIORITY_CLASSES = clusterWide<PriorityClass>(
  "scheduling.k8s.io",
  "priorityclasses",
  "PriorityClass",
);
