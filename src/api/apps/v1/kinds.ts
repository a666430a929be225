import type { KindLogic, KindTable } from "../../kind-logic.ts";
import type { ScaleMapping } from "../../resource-definition.ts";
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from "./types.ts";
import {
  controllerRevisionColumns,
  daemonSetColumns,
  deploymentColumns,
  replicaSetColumns,
  statefulSetColumns,
} from "./workload-columns.ts";
import {
  defaultDaemonSet,
  defaultDeployment,
  defaultReplicaSet,
  defaultStatefulSet,
} from "./workload-defaults.ts";

const scale: ScaleMapping = {
  specReplicasPath: ["spec", "replicas"],
  statusReplicasPath: ["status", "replicas"],
  selectorPath: ["spec", "selector"],
  selectorForm: "label-selector",
};

const deployments: KindLogic<Deployment> = {
  defaults: defaultDeployment,
  columns: deploymentColumns,
  scale,
};

const replicaSets: KindLogic<ReplicaSet> = {
  defaults: defaultReplicaSet,
  columns: replicaSetColumns,
  selectableFields: ({ status }) => ({ "status.replicas": String(status?.replicas ?? 0) }),
  scale,
};

const statefulSets: KindLogic<StatefulSet> = {
  defaults: defaultStatefulSet,
  columns: statefulSetColumns,
  scale,
};

const daemonSets: KindLogic<DaemonSet> = {
  defaults: defaultDaemonSet,
  columns: daemonSetColumns,
};

const controllerRevisions: KindLogic<ControllerRevision> = { columns: controllerRevisionColumns };

export const appsKinds: KindTable = {
  controllerrevisions: controllerRevisions,
  daemonsets: daemonSets,
  deployments,
  replicasets: replicaSets,
  statefulsets: statefulSets,
};
