import { type FieldError, FieldPath } from "../../../apimachinery/index.ts";
import { checkImmutable, checkNonNegative } from "../../field-checks.ts";
import {
  validateDaemonSet,
  validateDeployment,
  validateReplicaSet,
  validateSelectorUpdate,
  validateStatefulSet,
  validateStatefulSetUpdate,
} from "./workload-validation.ts";
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
  validate: validateDeployment,
  validateUpdate: validateSelectorUpdate,
  columns: deploymentColumns,
  scale,
};

const replicaSets: KindLogic<ReplicaSet> = {
  defaults: defaultReplicaSet,
  validate: validateReplicaSet,
  validateUpdate: validateSelectorUpdate,
  columns: replicaSetColumns,
  selectableFields: ({ status }) => ({ "status.replicas": String(status?.replicas ?? 0) }),
  scale,
};

const statefulSets: KindLogic<StatefulSet> = {
  defaults: defaultStatefulSet,
  validate: validateStatefulSet,
  validateUpdate: validateStatefulSetUpdate,
  columns: statefulSetColumns,
  scale,
};

const daemonSets: KindLogic<DaemonSet> = {
  defaults: defaultDaemonSet,
  validate: validateDaemonSet,
  validateUpdate: validateSelectorUpdate,
  columns: daemonSetColumns,
};

const controllerRevisions: KindLogic<ControllerRevision> = {
  validate: ({ revision }) => {
    const errors: FieldError[] = [];
    checkNonNegative(errors, FieldPath.root("revision"), revision);
    return errors;
  },
  validateUpdate: (next, old) => {
    const errors: FieldError[] = [];
    checkImmutable(errors, FieldPath.root("data"), next.data, old.data);
    return errors;
  },
  columns: controllerRevisionColumns,
};

export const appsKinds: KindTable = {
  controllerrevisions: controllerRevisions,
  daemonsets: daemonSets,
  deployments,
  replicasets: replicaSets,
  statefulsets: statefulSets,
};
