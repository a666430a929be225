import type { KubeObject } from "../../../apimachinery/index.ts";
import type {
  HorizontalPodAutoscaler as Stored,
  HorizontalPodAutoscalerSpec as StoredSpec,
  HorizontalPodAutoscalerStatus as StoredStatus,
  MetricSpec,
  MetricStatus,
} from "../v2/types.ts";
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerSpec,
  HorizontalPodAutoscalerStatus,
} from "./types.ts";

/** What version 1 has no field for travels in annotations, as JSON of the version 2 form. */
const METRICS = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior";
const ANNOTATIONS = [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR];

const DEFAULT_CPU_PERCENT = 80;

/** Version 1 as version 2, in which form both are stored. */
export function storedFrom(autoscaler: HorizontalPodAutoscaler): Stored {
  const annotations = autoscaler.metadata.annotations ?? {};
  const { targetCPUUtilizationPercentage: percent, ...rest } = autoscaler.spec ?? {};
  const metrics = parsed<MetricSpec[]>(annotations[METRICS]) ?? [];
  if (percent !== undefined) metrics.unshift(cpuMetric(percent));
  if (metrics.length === 0) metrics.push(cpuMetric(DEFAULT_CPU_PERCENT));
  const spec = { ...rest, metrics } as StoredSpec;
  const behavior = parsed<NonNullable<StoredSpec["behavior"]>>(annotations[BEHAVIOR]);
  if (behavior !== undefined) spec.behavior = behavior;
  const stored: Stored = {
    ...autoscaler,
    apiVersion: "autoscaling/v2",
    metadata: withoutAnnotations(autoscaler.metadata),
    spec,
  };
  if (autoscaler.status !== undefined) {
    stored.status = storedStatus(autoscaler.status, annotations);
  }
  return stored;
}

/** The way back. */
export function servedFrom(object: KubeObject): HorizontalPodAutoscaler {
  const stored = object as Stored;
  const { metrics = [], behavior, ...rest } = stored.spec ?? {};
  const cpu = metrics.find(isCpuUtilization);
  const spec = { ...rest } as HorizontalPodAutoscalerSpec;
  const percent = cpu?.resource?.target.averageUtilization;
  if (percent !== undefined) spec.targetCPUUtilizationPercentage = percent;
  const others = metrics.filter((metric) => metric !== cpu);
  const annotations: Record<string, string> = { ...stored.metadata.annotations };
  if (others.length > 0) annotations[METRICS] = JSON.stringify(others);
  if (behavior !== undefined) annotations[BEHAVIOR] = JSON.stringify(behavior);
  const { status, ...plain } = stored;
  const served = { ...plain, apiVersion: "autoscaling/v1", spec } as HorizontalPodAutoscaler;
  if (status !== undefined) served.status = servedStatus(status, annotations);
  served.metadata = { ...stored.metadata };
  if (Object.keys(annotations).length > 0) served.metadata.annotations = annotations;
  return served;
}

function storedStatus(
  status: HorizontalPodAutoscalerStatus,
  annotations: Readonly<Record<string, string>>,
): StoredStatus {
  const { currentCPUUtilizationPercentage: percent, ...rest } = status;
  const stored: StoredStatus = { ...rest };
  const metrics = parsed<MetricStatus[]>(annotations[CURRENT_METRICS]) ?? [];
  if (percent !== undefined) {
    const resource = { name: "cpu", current: { averageUtilization: percent } };
    metrics.unshift({ type: "Resource", resource });
  }
  if (metrics.length > 0) stored.currentMetrics = metrics;
  const conditions = parsed<NonNullable<StoredStatus["conditions"]>>(annotations[CONDITIONS]);
  if (conditions !== undefined) stored.conditions = conditions;
  return stored;
}

/** Adds to the annotations what the status has no field for. */
function servedStatus(
  status: StoredStatus,
  annotations: Record<string, string>,
): HorizontalPodAutoscalerStatus {
  const { currentMetrics: metrics, conditions, currentReplicas = 0, ...rest } = status;
  // A status that no controller has written yet carries the metrics as null.
  const currentMetrics = metrics ?? [];
  const cpu = currentMetrics.find(
    ({ resource }) => resource?.name === "cpu" && resource.current.averageUtilization !== undefined,
  );
  const others = currentMetrics.filter((metric) => metric !== cpu);
  if (others.length > 0) annotations[CURRENT_METRICS] = JSON.stringify(others);
  if (conditions !== undefined) annotations[CONDITIONS] = JSON.stringify(conditions);
  const percent = cpu?.resource?.current.averageUtilization;
  const served: HorizontalPodAutoscalerStatus = { ...rest, currentReplicas };
  if (percent !== undefined) served.currentCPUUtilizationPercentage = percent;
  return served;
}

function isCpuUtilization({ type, resource }: MetricSpec): boolean {
  return (
    type === "Resource" &&
    resource?.name === "cpu" &&
    resource.target?.averageUtilization !== undefined
  );
}

function cpuMetric(percent: number): MetricSpec {
  const target = { type: "Utilization", averageUtilization: percent };
  return { type: "Resource", resource: { name: "cpu", target } };
}

function withoutAnnotations(metadata: KubeObject["metadata"]): KubeObject["metadata"] {
  if (metadata.annotations === undefined) return metadata;
  const kept = Object.entries(metadata.annotations).filter(([key]) => !ANNOTATIONS.includes(key));
  const { annotations: _dropped, ...rest } = metadata;
  return kept.length === 0 ? rest : { ...rest, annotations: Object.fromEntries(kept) };
}

/** Undefined where the annotation is absent, or not what this server wrote. */
function parsed<T>(text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}
