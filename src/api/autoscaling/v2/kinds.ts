import { validateHorizontalPodAutoscaler } from "./horizontal-pod-autoscaler-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { horizontalPodAutoscalerColumns } from "./horizontal-pod-autoscaler-columns.ts";
import { defaultHorizontalPodAutoscaler } from "./horizontal-pod-autoscaler-defaults.ts";
import type { HorizontalPodAutoscaler } from "./types.ts";

const horizontalPodAutoscalers: KindLogic<HorizontalPodAutoscaler> = {
  defaults: defaultHorizontalPodAutoscaler,
  validate: validateHorizontalPodAutoscaler,
  columns: horizontalPodAutoscalerColumns,
};

export const autoscalingV2Kinds: KindTable = {
  horizontalpodautoscalers: horizontalPodAutoscalers,
};
