import type { autoscalingV2, Pod, PodMetrics } from "../../api/index.ts";
import { parseGoDuration, parseQuantity, parseRfc3339 } from "../../apimachinery/index.ts";
import { podCondition } from "../pod-state.ts";
import { rulesOf } from "./behavior.ts";
import { replicasForMetric, TOLERANCE, type MeasuredPod } from "./metric-replicas.ts";
import type { Proposal } from "./plan.ts";

type Autoscaler = autoscalingV2.HorizontalPodAutoscaler;
type MetricSpec = autoscalingV2.MetricSpec;
type Target = autoscalingV2.MetricTarget;

/** The one Pods metric there is: what the proxies of all nodes count. */
export const REQUESTS_METRIC = "requests-per-second";
const REQUESTS_ANNOTATION = "kubun.dev/requests-per-second";

export interface MeasureInput {
  readonly autoscaler: Autoscaler;
  readonly currentReplicas: number;
  readonly pods: readonly Pod[];
  readonly metrics: readonly PodMetrics[];
  readonly nowMs: number;
}

/** What each metric of the spec asks for. */
export function proposalsFor(input: MeasureInput): Proposal[] {
  return (input.autoscaler.spec?.metrics ?? []).map((metric) => propose(metric, input));
}

function propose(metric: MetricSpec, input: MeasureInput): Proposal {
  const { resource, pods, containerResource } = metric;
  if (metric.type === "Resource" && resource !== undefined) {
    return byResource(resource.name, resource.target, undefined, input);
  }
  if (metric.type === "ContainerResource" && containerResource !== undefined) {
    const { name, target, container } = containerResource;
    return byResource(name, target, container, input);
  }
  if (metric.type === "Pods" && pods !== undefined) {
    const name = `pods metric ${pods.metric.name}`;
    const failure = "FailedGetPodsMetric";
    if (pods.metric.name !== REQUESTS_METRIC) {
      return unknown(name, failure, `the only metric of pods is ${REQUESTS_METRIC}`);
    }
    const measured = input.pods.map((pod) => measurePod(pod, input, requestsOf));
    const amount = amountOf(pods.target);
    return { name, failure, result: calculate(input, measured, { type: "value", amount }) };
  }
  const what = `metrics of type ${metric.type} are not known here`;
  return unknown(`${metric.type} metric`, "InvalidMetricSourceType", what);
}

function byResource(
  name: string,
  target: Target,
  container: string | undefined,
  input: MeasureInput,
): Proposal {
  const failure =
    container === undefined ? "FailedGetResourceMetric" : "FailedGetContainerResourceMetric";
  const measured = input.pods.map((pod) => ({
    ...measurePod(pod, input, (metrics) => usageOf(metrics, name, container)),
    request: requestOf(pod, name, container),
  }));
  const isCpu = name === "cpu";
  if (target.type === "Utilization") {
    const amount = target.averageUtilization ?? 80;
    const result = calculate(input, measured, { type: "utilization", amount }, isCpu);
    return { name: `${name} resource utilization (percentage of request)`, failure, result };
  }
  const goal = { type: "value", amount: amountOf(target) } as const;
  return { name: `${name} resource`, failure, result: calculate(input, measured, goal, isCpu) };
}

function calculate(
  { autoscaler, currentReplicas, nowMs }: MeasureInput,
  pods: readonly MeasuredPod[],
  target: { readonly type: "value" | "utilization"; readonly amount: number },
  isCpu = false,
): Proposal["result"] {
  const { up, down } = rulesOf(autoscaler.spec?.behavior);
  const own = (text: string | undefined): number => (text === undefined ? TOLERANCE : exact(text));
  const tolerance = { up: own(up.tolerance), down: own(down.tolerance) };
  return replicasForMetric({ currentReplicas, pods, target, isCpu, tolerance, nowMs });
}

function unknown(name: string, failure: string, message: string): Proposal {
  return { name, failure, result: { type: "failed", message } };
}

function measurePod(
  pod: Pod,
  { metrics }: MeasureInput,
  read: (metrics: PodMetrics) => number | undefined,
): MeasuredPod {
  const found = metrics.find(({ metadata }) => metadata?.name === pod.metadata.name);
  const ready = podCondition(pod, "Ready");
  const { startTime, phase = "" } = pod.status ?? {};
  return {
    name: pod.metadata.name ?? "",
    phase,
    deleted: pod.metadata.deletionTimestamp !== undefined,
    ready: ready === undefined ? undefined : ready.status === "True",
    readyChangedMs: parseRfc3339(ready?.lastTransitionTime ?? "1970-01-01T00:00:00Z"),
    startedMs: startTime === undefined ? undefined : parseRfc3339(startTime),
    value: found === undefined ? undefined : read(found),
    measuredMs: found === undefined ? 0 : parseRfc3339(found.timestamp),
    windowMs: found === undefined ? 0 : parseGoDuration(found.window),
  };
}

function requestsOf({ metadata }: PodMetrics): number | undefined {
  const text = metadata?.annotations?.[REQUESTS_ANNOTATION];
  return text === undefined ? undefined : Number(text);
}

function usageOf(
  { containers }: PodMetrics,
  resource: string,
  container: string | undefined,
): number | undefined {
  const chosen = containers.filter(({ name }) => container === undefined || name === container);
  if (chosen.length === 0) return undefined;
  return chosen.reduce((sum, { usage }) => sum + exact(usage[resource] ?? "0"), 0);
}

/** Undefined when a container asks for nothing: then there is no percentage. */
function requestOf(
  { spec }: Pod,
  resource: string,
  container: string | undefined,
): number | undefined {
  const chosen = (spec?.containers ?? []).filter(
    ({ name }) => container === undefined || name === container,
  );
  let sum = 0;
  for (const { resources } of chosen) {
    const text = resources?.requests?.[resource];
    if (text === undefined) return undefined;
    sum += exact(text);
  }
  return sum;
}

function amountOf({ averageValue, value }: Target): number {
  return exact(averageValue ?? value ?? "1");
}

/** In whole units, with fractions. */
function exact(text: string): number {
  return Number(parseQuantity(text).nanos) / 1e9;
}

/** What the status says of a metric that could be measured. */
export function statusOfMetric(
  spec: MetricSpec,
  { result }: Proposal,
): autoscalingV2.MetricStatus | undefined {
  if (result.type === "failed") return undefined;
  const averageValue = `${Math.round(result.averageValue * 1000)}m`;
  const text = parseQuantity(averageValue).toString();
  const { utilization } = result;
  const current = {
    averageValue: text,
    ...(utilization === undefined ? {} : { averageUtilization: utilization }),
  };
  const { resource, containerResource, pods } = spec;
  if (resource !== undefined)
    return { type: spec.type, resource: { name: resource.name, current } };
  if (containerResource !== undefined) {
    const { name, container } = containerResource;
    return { type: spec.type, containerResource: { name, container, current } };
  }
  if (pods !== undefined) return { type: spec.type, pods: { metric: pods.metric, current } };
  return undefined;
}
