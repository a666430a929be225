import type { HorizontalPodAutoscaler, HPAScalingRules } from "./types.ts";

const CPU_UTILIZATION_PERCENT = 80;

export function defaultHorizontalPodAutoscaler(autoscaler: HorizontalPodAutoscaler): void {
  const spec = autoscaler.spec;
  if (spec === undefined) return;
  spec.minReplicas ??= 1;
  if ((spec.metrics?.length ?? 0) === 0) {
    const target = { type: "Utilization", averageUtilization: CPU_UTILIZATION_PERCENT };
    spec.metrics = [{ type: "Resource", resource: { name: "cpu", target } }];
  }
  if (spec.behavior === undefined) return;
  spec.behavior.scaleUp = filled(spec.behavior.scaleUp, {
    stabilizationWindowSeconds: 0,
    selectPolicy: "Max",
    policies: [
      { type: "Pods", value: 4, periodSeconds: 15 },
      { type: "Percent", value: 100, periodSeconds: 15 },
    ],
  });
  spec.behavior.scaleDown = filled(spec.behavior.scaleDown, {
    selectPolicy: "Max",
    policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
  });
}

function filled(rules: HPAScalingRules | undefined, defaults: HPAScalingRules): HPAScalingRules {
  return { ...defaults, ...rules };
}
