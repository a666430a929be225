/** Within this of the target nothing is changed, unless the behavior says otherwise. */
export const TOLERANCE = 0.1;
/** A pod's processor use is not believed so long after its start, unless it was ready before. */
export const CPU_INITIALIZATION_MS = 300_000;
/** A pod that stops being ready within this of its start was never really ready. */
export const INITIAL_READINESS_MS = 30_000;

/** One pod of the target, as far as a metric is concerned. */
export interface MeasuredPod {
  readonly name: string;
  readonly phase: string;
  readonly deleted: boolean;
  readonly ready: boolean | undefined;
  readonly readyChangedMs: number;
  readonly startedMs: number | undefined;
  /** What it uses now; undefined while nobody tells. */
  readonly value: number | undefined;
  /** What it asked for, in the same unit; only for utilization. */
  readonly request?: number | undefined;
  readonly measuredMs: number;
  readonly windowMs: number;
}

export interface MetricInput {
  readonly currentReplicas: number;
  readonly pods: readonly MeasuredPod[];
  /** Average value a pod, or percent of what was asked for. */
  readonly target: { readonly type: "value" | "utilization"; readonly amount: number };
  /** Processor use of a pod that begins is no measure of its later one. */
  readonly isCpu: boolean;
  readonly tolerance: { readonly up: number; readonly down: number };
  readonly nowMs: number;
}

export type MetricResult =
  | {
      readonly type: "replicas";
      readonly replicas: number;
      /** Averages as the status tells them. */
      readonly averageValue: number;
      readonly utilization?: number;
    }
  | { readonly type: "failed"; readonly message: string };

interface Groups {
  readonly counted: readonly MeasuredPod[];
  readonly unready: readonly MeasuredPod[];
  readonly missing: readonly MeasuredPod[];
}

/**
 * How many replicas bring a metric to its target: Kubernetes' replica calculator. Pods without a
 * metric, or not ready yet, are assumed to be such that they dampen the change, never turn it.
 */
export function replicasForMetric(input: MetricInput): MetricResult {
  const { currentReplicas, target, tolerance } = input;
  const groups = groupPods(input);
  const { counted, unready, missing } = groups;
  if (counted.length === 0)
    return failed("did not receive metrics for targeted pods (pods might be unready)");
  const requestless = input.pods.find((pod) => !pod.deleted && pod.request === undefined);
  if (target.type === "utilization" && requestless !== undefined) {
    return failed(`missing request for cpu in a container of Pod ${requestless.name}`);
  }
  const ratio = ratioOf(counted, target);
  const average = counted.reduce((sum, { value = 0 }) => sum + value, 0) / counted.length;
  const told = {
    type: "replicas" as const,
    averageValue: average,
    ...(target.type === "utilization" ? { utilization: Math.trunc(ratio * target.amount) } : {}),
  };
  const within = (each: number): boolean =>
    each >= 1 ? each - 1 <= tolerance.up + 1e-9 : 1 - each <= tolerance.down + 1e-9;
  const upWithUnready = unready.length > 0 && ratio > 1;
  if (!upWithUnready && missing.length === 0) {
    if (within(ratio)) return { ...told, replicas: currentReplicas };
    return { ...told, replicas: ceil(ratio * counted.length) };
  }
  const assumed = [...counted, ...assumeFor(groups, ratio, target)];
  const next = ratioOf(assumed, target);
  if (within(next) || ratio < 1 !== next < 1) return { ...told, replicas: currentReplicas };
  const replicas = ceil(next * assumed.length);
  const turned = next < 1 ? replicas > currentReplicas : replicas < currentReplicas;
  return { ...told, replicas: turned ? currentReplicas : replicas };
}

function groupPods({ pods, isCpu, nowMs }: MetricInput): Groups {
  const counted: MeasuredPod[] = [];
  const unready: MeasuredPod[] = [];
  const missing: MeasuredPod[] = [];
  for (const pod of pods) {
    if (pod.deleted || pod.phase === "Failed") continue;
    if (pod.phase === "Pending") unready.push(pod);
    else if (pod.value === undefined) missing.push(pod);
    else if (isCpu && isBeginning(pod, nowMs)) unready.push(pod);
    else counted.push(pod);
  }
  return { counted, unready, missing };
}

function isBeginning(pod: MeasuredPod, nowMs: number): boolean {
  const { ready, readyChangedMs, startedMs } = pod;
  if (ready === undefined || startedMs === undefined) return true;
  if (startedMs + CPU_INITIALIZATION_MS > nowMs) {
    return !ready || pod.measuredMs < readyChangedMs + pod.windowMs;
  }
  return !ready && startedMs + INITIAL_READINESS_MS > readyChangedMs;
}

/** What pods that tell nothing are taken to use: the target when scaling down, nothing when up. */
function assumeFor(
  { unready, missing }: Groups,
  ratio: number,
  target: MetricInput["target"],
): MeasuredPod[] {
  const full = (pod: MeasuredPod): number =>
    target.type === "utilization"
      ? ((pod.request ?? 0) * Math.max(100, target.amount)) / 100
      : target.amount;
  const silent = missing.map((pod) => ({ ...pod, value: ratio < 1 ? full(pod) : 0 }));
  const beginning = ratio > 1 ? unready.map((pod) => ({ ...pod, value: 0 })) : [];
  return [...silent, ...beginning];
}

function ratioOf(pods: readonly MeasuredPod[], target: MetricInput["target"]): number {
  const used = pods.reduce((sum, { value = 0 }) => sum + value, 0);
  if (target.type === "value") return used / pods.length / target.amount;
  const asked = pods.reduce((sum, { request = 0 }) => sum + request, 0);
  return Math.trunc((used * 100) / asked) / target.amount;
}

/** Sums of floating point numbers are a hair off: 3.0000000000000004 replicas are three. */
function ceil(value: number): number {
  return Math.ceil(value - 1e-9);
}

function failed(message: string): MetricResult {
  return { type: "failed", message };
}
