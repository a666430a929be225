import { LABEL_NAME, SERVICE_NAME } from "../../name-rules.ts";
import { validateConfigMap, validateConfigUpdate } from "./config-map-validation.ts";
import { validateEndpoints } from "./endpoints-validation.ts";
import { validateEvent } from "./event-validation.ts";
import { validateNamespace } from "./namespace-validation.ts";
import { validateNode, validateNodeUpdate } from "./node-validation.ts";
import {
  validatePersistentVolumeClaim,
  validatePersistentVolumeClaimUpdate,
} from "./persistent-volume-claim-validation.ts";
import {
  validatePersistentVolume,
  validatePersistentVolumeUpdate,
} from "./persistent-volume-validation.ts";
import { validatePod, validatePodUpdate } from "./pod-validation.ts";
import {
  validateLimitRange,
  validateResourceQuota,
  validateResourceQuotaUpdate,
} from "./quota-validation.ts";
import {
  validatePodTemplate,
  validateReplicationController,
} from "./replication-controller-validation.ts";
import { validateSecret, validateSecretUpdate } from "./secret-validation.ts";
import { validateService, validateServiceUpdate } from "./service-validation.ts";
import { labelsText } from "../../cell-text.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import { endpointsColumns } from "./endpoints-columns.ts";
import { eventColumns } from "./event-columns.ts";
import { defaultLimitRange } from "./limit-range-defaults.ts";
import { defaultNamespace } from "./namespace-defaults.ts";
import { nodeColumns } from "./node-columns.ts";
import {
  defaultPersistentVolume,
  defaultPersistentVolumeClaim,
} from "./persistent-volume-defaults.ts";
import { podColumns } from "./pod-columns.ts";
import { defaultPod, defaultPodTemplate } from "./pod-defaults.ts";
import { templateColumns } from "./pod-template-columns.ts";
import { defaultReplicationController } from "./replication-controller-defaults.ts";
import { replicationControllerColumns } from "./replication-controller-columns.ts";
import { resourceQuotaColumns } from "./resource-quota-columns.ts";
import { defaultSecret } from "./secret-defaults.ts";
import { serviceColumns } from "./service-columns.ts";
import { defaultService } from "./service-defaults.ts";
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
} from "./types.ts";
import { persistentVolumeClaimColumns, persistentVolumeColumns } from "./volume-columns.ts";

const pods: KindLogic<Pod> = {
  defaults: defaultPod,
  validate: validatePod,
  validateUpdate: validatePodUpdate,
  columns: podColumns,
  selectableFields: ({ spec, status }) => ({
    "spec.nodeName": spec?.nodeName ?? "",
    "spec.restartPolicy": spec?.restartPolicy ?? "",
    "spec.schedulerName": spec?.schedulerName ?? "",
    "spec.serviceAccountName": spec?.serviceAccountName ?? "",
    "spec.hostNetwork": String(spec?.hostNetwork ?? false),
    "status.phase": status?.phase ?? "",
    "status.podIP": status?.podIPs?.[0]?.ip ?? status?.podIP ?? "",
    "status.podIPs": (status?.podIPs ?? []).map(({ ip }) => ip).join(","),
    "status.nominatedNodeName": status?.nominatedNodeName ?? "",
  }),
};

const podTemplates: KindLogic<PodTemplate> = {
  defaults: (podTemplate) => defaultPodTemplate((podTemplate.template ??= {})),
  validate: validatePodTemplate,
  columns: [
    NAME_COLUMN,
    ...templateColumns<PodTemplate>(({ template }) => template).map((each) => ({
      ...each,
      priority: 0,
    })),
    column("Pod Labels", "Labels of pods made of it.", ({ template }) =>
      labelsText(template?.metadata?.labels),
    ),
  ],
};

const replicationControllers: KindLogic<ReplicationController> = {
  defaults: defaultReplicationController,
  validate: validateReplicationController,
  columns: replicationControllerColumns,
  selectableFields: ({ status }) => ({ "status.replicas": String(status?.replicas ?? 0) }),
  scale: {
    specReplicasPath: ["spec", "replicas"],
    statusReplicasPath: ["status", "replicas"],
    selectorPath: ["spec", "selector"],
    selectorForm: "label-map",
  },
};

const services: KindLogic<Service> = {
  nameRule: SERVICE_NAME,
  defaults: defaultService,
  validate: validateService,
  validateUpdate: validateServiceUpdate,
  columns: serviceColumns,
  selectableFields: ({ spec }) => ({
    "spec.clusterIP": spec?.clusterIP ?? "",
    "spec.type": spec?.type ?? "",
  }),
};

const endpoints: KindLogic<Endpoints> = {
  defaults: ({ subsets }) => {
    for (const subset of subsets ?? []) {
      for (const port of subset.ports ?? []) port.protocol ||= "TCP";
    }
  },
  validate: validateEndpoints,
  columns: endpointsColumns,
};

const nodes: KindLogic<Node> = {
  validate: validateNode,
  validateUpdate: validateNodeUpdate,
  columns: nodeColumns,
  selectableFields: ({ spec }) => ({
    "spec.unschedulable": String(spec?.unschedulable ?? false),
  }),
};

const events: KindLogic<Event> = {
  validate: validateEvent,
  columns: eventColumns,
  selectableFields: (event) => ({
    "involvedObject.kind": event.involvedObject?.kind ?? "",
    "involvedObject.namespace": event.involvedObject?.namespace ?? "",
    "involvedObject.name": event.involvedObject?.name ?? "",
    "involvedObject.uid": event.involvedObject?.uid ?? "",
    "involvedObject.apiVersion": event.involvedObject?.apiVersion ?? "",
    "involvedObject.resourceVersion": event.involvedObject?.resourceVersion ?? "",
    "involvedObject.fieldPath": event.involvedObject?.fieldPath ?? "",
    reason: event.reason ?? "",
    reportingComponent: event.reportingComponent ?? "",
    source: event.source?.component || event.reportingComponent || "",
    type: event.type ?? "",
  }),
};

const namespaces: KindLogic<Namespace> = {
  nameRule: LABEL_NAME,
  defaults: defaultNamespace,
  validate: validateNamespace,
  columns: [
    NAME_COLUMN,
    column("Status", "Active, or Terminating.", ({ status }) => status?.phase ?? ""),
    AGE_COLUMN,
  ],
  selectableFields: ({ status }) => ({ "status.phase": status?.phase ?? "" }),
};

const secrets: KindLogic<Secret> = {
  defaults: defaultSecret,
  validate: validateSecret,
  validateUpdate: validateSecretUpdate,
  columns: [
    NAME_COLUMN,
    column("Type", "What the keys mean.", ({ type }) => type ?? ""),
    column("Data", "Number of keys.", ({ data }) => Object.keys(data ?? {}).length),
    AGE_COLUMN,
  ],
  selectableFields: ({ type }) => ({ type: type ?? "" }),
};

const configMaps: KindLogic<ConfigMap> = {
  validate: validateConfigMap,
  validateUpdate: validateConfigUpdate,
  columns: [
    NAME_COLUMN,
    column(
      "Data",
      "Number of keys.",
      ({ data, binaryData }) =>
        Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length,
    ),
    AGE_COLUMN,
  ],
};

const serviceAccounts: KindLogic<ServiceAccount> = { columns: [NAME_COLUMN, AGE_COLUMN] };

const persistentVolumes: KindLogic<PersistentVolume> = {
  defaults: defaultPersistentVolume,
  validate: validatePersistentVolume,
  validateUpdate: validatePersistentVolumeUpdate,
  columns: persistentVolumeColumns,
};

const persistentVolumeClaims: KindLogic<PersistentVolumeClaim> = {
  defaults: defaultPersistentVolumeClaim,
  validate: validatePersistentVolumeClaim,
  validateUpdate: validatePersistentVolumeClaimUpdate,
  columns: persistentVolumeClaimColumns,
};

const limitRanges: KindLogic<LimitRange> = {
  defaults: defaultLimitRange,
  validate: validateLimitRange,
};

const resourceQuotas: KindLogic<ResourceQuota> = {
  validate: validateResourceQuota,
  validateUpdate: validateResourceQuotaUpdate,
  columns: resourceQuotaColumns,
};

const componentStatuses: KindLogic<ComponentStatus> = {
  columns: [
    NAME_COLUMN,
    column("Status", "Whether the component is healthy.", ({ conditions }) => {
      const healthy = conditions?.find(({ type }) => type === "Healthy");
      if (healthy === undefined) return "Unknown";
      return healthy.status === "True" ? "Healthy" : "Unhealthy";
    }),
    column("Message", "What it says.", ({ conditions }) => conditions?.[0]?.message ?? ""),
    column("Error", "What is wrong.", ({ conditions }) => conditions?.[0]?.error ?? ""),
  ],
};

export const coreKinds: KindTable = {
  componentstatuses: componentStatuses,
  configmaps: configMaps,
  endpoints,
  events,
  limitranges: limitRanges,
  namespaces,
  nodes,
  persistentvolumeclaims: persistentVolumeClaims,
  persistentvolumes: persistentVolumes,
  pods,
  podtemplates: podTemplates,
  replicationcontrollers: replicationControllers,
  resourcequotas: resourceQuotas,
  secrets,
  serviceaccounts: serviceAccounts,
  services,
};
