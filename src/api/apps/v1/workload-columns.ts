import { labelsText, selectorText } from "../../cell-text.ts";
import { templateColumns } from "../../core/v1/pod-template-columns.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, NONE, typed, wide } from "../../table-columns.ts";
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from "./types.ts";

const SELECTOR_TEXT = "Labels of the pods it owns.";

export const deploymentColumns: readonly TableColumn<Deployment>[] = [
  NAME_COLUMN,
  column(
    "Ready",
    "Ready pods, of all wanted.",
    ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
  ),
  column(
    "Up-to-date",
    "Pods of the newest template.",
    (deployment) => deployment.status?.updatedReplicas ?? 0,
  ),
  column(
    "Available",
    "Pods that are ready for long enough.",
    (deployment) => deployment.status?.availableReplicas ?? 0,
  ),
  AGE_COLUMN,
  ...templateColumns<Deployment>(({ spec }) => spec?.template),
  wide(column("Selector", SELECTOR_TEXT, ({ spec }) => selectorText(spec?.selector))),
];

export const replicaSetColumns: readonly TableColumn<ReplicaSet>[] = [
  NAME_COLUMN,
  typed(
    "integer",
    column("Desired", "Pods wanted.", ({ spec }) => spec?.replicas ?? 0),
  ),
  typed(
    "integer",
    column("Current", "Pods there are.", ({ status }) => status?.replicas ?? 0),
  ),
  typed(
    "integer",
    column("Ready", "Pods that are ready.", ({ status }) => status?.readyReplicas ?? 0),
  ),
  AGE_COLUMN,
  ...templateColumns<ReplicaSet>(({ spec }) => spec?.template),
  wide(column("Selector", SELECTOR_TEXT, ({ spec }) => selectorText(spec?.selector))),
];

export const statefulSetColumns: readonly TableColumn<StatefulSet>[] = [
  NAME_COLUMN,
  column(
    "Ready",
    "Ready pods, of all wanted.",
    ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
  ),
  AGE_COLUMN,
  ...templateColumns<StatefulSet>(({ spec }) => spec?.template),
];

function daemonCount(
  name: string,
  description: string,
  count: (status: NonNullable<DaemonSet["status"]>) => number | undefined,
): TableColumn<DaemonSet> {
  const cell = ({ status }: DaemonSet) => (status === undefined ? 0 : (count(status) ?? 0));
  return typed("integer", column(name, description, cell));
}

export const daemonSetColumns: readonly TableColumn<DaemonSet>[] = [
  NAME_COLUMN,
  daemonCount("Desired", "Nodes that should run it.", (status) => status.desiredNumberScheduled),
  daemonCount("Current", "Nodes that run it.", (status) => status.currentNumberScheduled),
  daemonCount("Ready", "Nodes where it is ready.", (status) => status.numberReady),
  daemonCount("Up-to-date", "Nodes with the newest template.", (s) => s.updatedNumberScheduled),
  daemonCount("Available", "Nodes where it is ready for long enough.", (s) => s.numberAvailable),
  column("Node Selector", "Labels of the nodes that run it.", ({ spec }) =>
    labelsText(spec?.template?.spec?.nodeSelector),
  ),
  AGE_COLUMN,
  ...templateColumns<DaemonSet>(({ spec }) => spec?.template),
  wide(column("Selector", SELECTOR_TEXT, ({ spec }) => selectorText(spec?.selector))),
];

export const controllerRevisionColumns: readonly TableColumn<ControllerRevision>[] = [
  NAME_COLUMN,
  column("Controller", "What it is a revision of.", controllerText),
  typed(
    "integer",
    column("Revision", "Number of the revision.", ({ revision }) => revision ?? 0),
  ),
  AGE_COLUMN,
];

function controllerText({ metadata }: ControllerRevision): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return NONE;
  const group = owner.apiVersion.includes("/") ? `.${owner.apiVersion.split("/")[0]}` : "";
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}
