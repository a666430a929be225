import { labelsText } from "../../cell-text.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, typed, wide } from "../../table-columns.ts";
import { templateColumns } from "./pod-template-columns.ts";
import type { ReplicationController } from "./types.ts";

export const replicationControllerColumns: readonly TableColumn<ReplicationController>[] = [
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
  ...templateColumns<ReplicationController>(({ spec }) => spec?.template),
  wide(column("Selector", "Labels of the pods it owns.", ({ spec }) => labelsText(spec?.selector))),
];
