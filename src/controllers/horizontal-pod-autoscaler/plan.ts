import type { autoscalingV2 } from "../../api/index.ts";
import { boundReplicas, type Bounded, type ScaleHistory } from "./behavior.ts";
import type { MetricResult } from "./metric-replicas.ts";

type Autoscaler = autoscalingV2.HorizontalPodAutoscaler;

/** What one metric of the spec came to. */
export interface Proposal {
  /** As messages name it: "cpu resource utilization (percentage of request)". */
  readonly name: string;
  /** The reason of a condition that tells its failure: "FailedGetResourceMetric". */
  readonly failure: string;
  readonly result: MetricResult;
}

export interface PlanInput {
  readonly autoscaler: Autoscaler;
  /** Of the target's spec. */
  readonly current: number;
  readonly proposals: readonly Proposal[];
  readonly history: ScaleHistory;
  readonly nowMs: number;
}

export interface Condition {
  readonly type: "AbleToScale" | "ScalingActive" | "ScalingLimited";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

export interface AutoscalerPlan {
  readonly desired: number;
  /** What the metrics asked for, to be remembered; absent when none did. */
  readonly recommendation?: number;
  /** Why the size changes, for the event. */
  readonly reason: string;
  readonly conditions: readonly Condition[];
}

/** How large the target of an autoscaler should be now. Pure; the Kubernetes controller's order. */
export function planAutoscaler(input: PlanInput): AutoscalerPlan {
  const { autoscaler, current } = input;
  const { minReplicas: min = 1, maxReplicas: max } = autoscaler.spec ?? { maxReplicas: 1 };
  if (current === 0 && min !== 0) {
    const message = "scaling is disabled since the replica count of the target is zero";
    return {
      desired: 0,
      reason: "",
      conditions: [found(), condition("ScalingActive", "False", "ScalingDisabled", message)],
    };
  }
  if (current > max) return atBound(max, "Current number of replicas above Spec.MaxReplicas");
  if (current < min) return atBound(min, "Current number of replicas below Spec.MinReplicas");
  return byMetrics(input, min, max);
}

function atBound(desired: number, reason: string): AutoscalerPlan {
  return { desired, reason, conditions: [found()] };
}

function byMetrics(input: PlanInput, min: number, max: number): AutoscalerPlan {
  const { autoscaler, current, proposals, history, nowMs } = input;
  const working = proposals.flatMap(({ name, result }) =>
    result.type === "replicas" ? [{ name, replicas: result.replicas }] : [],
  );
  const broken = proposals.find(({ result }) => result.type === "failed");
  const best = working.reduce<(typeof working)[number] | undefined>(
    (most, each) => (most === undefined || each.replicas > most.replicas ? each : most),
    undefined,
  );
  // With a metric missing nobody knows that fewer would do.
  if (best === undefined || (broken !== undefined && best.replicas < current)) {
    const what = broken?.result.type === "failed" ? broken.result.message : "no metric is given";
    const message = `the HPA was unable to compute the replica count: ${what}`;
    const reason = broken?.failure ?? "InvalidMetricSourceType";
    const active = condition("ScalingActive", "False", reason, message);
    return { desired: current, reason: "", conditions: [found(), active] };
  }
  const behavior = autoscaler.spec?.behavior;
  const wish = { behavior, current, desired: best.replicas, min, max, history, nowMs };
  const bounded = boundReplicas(wish);
  const text = `the HPA was able to successfully calculate a replica count from ${best.name}`;
  return {
    desired: bounded.replicas,
    recommendation: best.replicas,
    reason: bounded.replicas > current ? `${best.name} above target` : "All metrics below target",
    conditions: [
      ableToScale(bounded, current),
      condition("ScalingActive", "True", "ValidMetricFound", text),
      limitation(bounded),
    ],
  };
}

function found(): Condition {
  const message = "the HPA controller was able to get the target's current scale";
  return condition("AbleToScale", "True", "SucceededGetScale", message);
}

function ableToScale({ stabilized, replicas }: Bounded, current: number): Condition {
  if (stabilized !== undefined) {
    const reason = stabilized === "up" ? "ScaleUpStabilized" : "ScaleDownStabilized";
    const [were, applied] = stabilized === "up" ? ["lower", "lowest"] : ["higher", "highest"];
    const message =
      `recent recommendations were ${were} than current one, ` +
      `applying the ${applied} recent recommendation`;
    return condition("AbleToScale", "True", reason, message);
  }
  if (replicas !== current) {
    const message = `the HPA controller was able to update the target scale to ${replicas}`;
    return condition("AbleToScale", "True", "SucceededRescale", message);
  }
  const message = "recommended size matches current size";
  return condition("AbleToScale", "True", "ReadyForNewScale", message);
}

const LIMITS: Readonly<Record<NonNullable<Bounded["limited"]>, string>> = {
  ScaleUpLimit: "the desired replica count is increasing faster than the maximum scale rate",
  ScaleDownLimit: "the desired replica count is decreasing faster than the maximum scale rate",
  TooManyReplicas: "the desired replica count is more than the maximum replica count",
  TooFewReplicas: "the desired replica count is less than the minimum replica count",
};

function limitation({ limited }: Bounded): Condition {
  if (limited !== undefined) return condition("ScalingLimited", "True", limited, LIMITS[limited]);
  const message = "the desired count is within the acceptable range";
  return condition("ScalingLimited", "False", "DesiredWithinRange", message);
}

function condition(
  type: Condition["type"],
  status: Condition["status"],
  reason: string,
  message: string,
): Condition {
  return { type, status, reason, message };
}
