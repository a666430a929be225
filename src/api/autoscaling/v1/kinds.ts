import { validateHorizontalPodAutoscaler } from "../v2/horizontal-pod-autoscaler-validation.ts";
import type { KindLogic, KindTable, TableColumn } from "../../kind-logic.ts";
import { horizontalPodAutoscalerColumns } from "../v2/horizontal-pod-autoscaler-columns.ts";
import { servedFrom, storedFrom } from "./horizontal-pod-autoscaler-conversion.ts";
import type { HorizontalPodAutoscaler } from "./types.ts";

const columns: readonly TableColumn<HorizontalPodAutoscaler>[] = horizontalPodAutoscalerColumns.map(
  (column) => ({
    ...column,
    cell: (autoscaler: HorizontalPodAutoscaler, now: number) =>
      column.cell(storedFrom(autoscaler), now),
  }),
);

const horizontalPodAutoscalers: KindLogic<HorizontalPodAutoscaler> = {
  defaults: ({ spec }) => {
    if (spec !== undefined) spec.minReplicas ??= 1;
  },
  validate: (autoscaler) => validateHorizontalPodAutoscaler(storedFrom(autoscaler)),
  columns,
  storage: { group: "autoscaling", resource: "horizontalpodautoscalers" },
  toStorage: storedFrom,
  fromStorage: servedFrom,
};

export const autoscalingV1Kinds: KindTable = {
  horizontalpodautoscalers: horizontalPodAutoscalers,
};
