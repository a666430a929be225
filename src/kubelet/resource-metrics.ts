import type { Pod } from "../api/index.ts";
import { parseQuantity } from "../apimachinery/index.ts";
import { podContainers } from "./pod-runtime-state.ts";
import type { ContainerUsage, UsageReport } from "./resource-usage.ts";

/** A family of samples, a container each; undefined: it has none. */
interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly value: (container: ContainerUsage, limits: Limits) => number | undefined;
}

interface Limits {
  readonly memoryBytes?: number;
  readonly cpus?: number;
}

const NANOSECONDS = 1e9;
/** As the kubelet gives quotas, and cAdvisor tells them. */
const PERIOD_MICROSECONDS = 100_000;

/** The names are those of Kubernetes' /metrics/resource, of cAdvisor and of kube-state-metrics. */
const CONTAINER_FAMILIES: readonly Family[] = [
  {
    name: "container_cpu_usage_seconds_total",
    type: "counter",
    help: "Processor time of a container.",
    value: ({ cpuNanoseconds }) => cpuNanoseconds / NANOSECONDS,
  },
  {
    name: "container_memory_working_set_bytes",
    type: "gauge",
    help: "Memory of a container.",
    value: ({ memoryBytes }) => memoryBytes,
  },
  {
    name: "container_start_time_seconds",
    type: "gauge",
    help: "When a container began, in seconds since 1970.",
    value: ({ startedAtMs }) => (startedAtMs === undefined ? undefined : startedAtMs / 1000),
  },
  {
    name: "container_cpu_cfs_periods_total",
    type: "counter",
    help: "Periods in which a container with a processor limit wanted to run.",
    value: ({ throttling }) => throttling?.periods,
  },
  {
    name: "container_cpu_cfs_throttled_periods_total",
    type: "counter",
    help: "Periods in which its limit held a container up.",
    value: ({ throttling }) => throttling?.throttledPeriods,
  },
  {
    name: "container_cpu_cfs_throttled_seconds_total",
    type: "counter",
    help: "How long its limit held a container up.",
    value: ({ throttling }) => throttling && throttling.throttledNanoseconds / NANOSECONDS,
  },
  {
    name: "container_spec_memory_limit_bytes",
    type: "gauge",
    help: "Memory limit of a container.",
    value: (_, { memoryBytes }) => memoryBytes,
  },
  {
    name: "container_spec_cpu_quota",
    type: "gauge",
    help: `Processor limit of a container, in microseconds of each ${PERIOD_MICROSECONDS}.`,
    value: (_, { cpus }) => (cpus === undefined ? undefined : cpus * PERIOD_MICROSECONDS),
  },
  {
    name: "kube_pod_container_status_restarts_total",
    type: "counter",
    help: "How often a container was started again.",
    value: ({ restarts }) => restarts,
  },
  {
    name: "kubun_container_log_dropped_bytes_total",
    type: "counter",
    help: "What a container said beyond its log rate.",
    value: ({ logBytesDropped }) => logBytesDropped,
  },
];

/** What containers and the machine use, in Prometheus' text format. */
export function resourceMetrics(
  nodeName: string,
  pods: readonly Pod[],
  { machine, containers }: UsageReport,
): string {
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid ?? "", pod]));
  const known = containers.flatMap((usage) => {
    const pod = byUid.get(usage.podUid);
    if (pod === undefined) return [];
    const { namespace, name } = pod.metadata;
    const labels = `{container="${usage.name}",namespace="${namespace}",pod="${name}"}`;
    return [{ usage, labels, limits: limitsOf(pod, usage.name) }];
  });
  const lines = CONTAINER_FAMILIES.flatMap(({ name, type, help, value }) => {
    const samples = known.flatMap(({ usage, labels, limits }) => {
      const sample = value(usage, limits);
      return sample === undefined ? [] : [`${name}${labels} ${sample}`];
    });
    return [...heading(name, type, help), ...samples];
  });
  const node = `{node="${nodeName}"}`;
  return [
    ...lines,
    ...heading("node_cpu_usage_seconds_total", "counter", "Processor time of the machine."),
    `node_cpu_usage_seconds_total${node} ${machine.cpuNanoseconds / NANOSECONDS}`,
    ...heading("node_memory_working_set_bytes", "gauge", "Memory of the machine."),
    `node_memory_working_set_bytes${node} ${machine.memoryBytes}`,
    "",
  ].join("\n");
}

function limitsOf(pod: Pod, name: string): Limits {
  const container = podContainers(pod).find((one) => one.name === name);
  const { memory, cpu } = container?.resources?.limits ?? {};
  return {
    ...(memory === undefined ? {} : { memoryBytes: parseQuantity(memory).value() }),
    ...(cpu === undefined ? {} : { cpus: parseQuantity(cpu).milliValue() / 1000 }),
  };
}

function heading(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}
