import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { horizontalPodAutoscalerColumns } from "./horizontal-pod-autoscaler-columns.ts";
import { defaultHorizontalPodAutoscaler } from "./horizontal-pod-autoscaler-defaults.ts";
import type { HorizontalPodAutoscaler } from "./types.ts";

const horizontalPodAutoscalers: KindLogic<HorizontalPodAutoscaler> = {
  defaults: defaultHorizontalPodAutoscaler,
  columns: horizontalPodAutoscalerColumns,
};

export const autoscalingV2Kinds: KindTable = {
  horizontalpodautoscalers: horizontalPodAutoscalers,
};
