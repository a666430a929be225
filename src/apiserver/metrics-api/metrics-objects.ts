import type { Node, NodeMetrics, Pod, PodMetrics } from "../../api/index.ts";
import { rfc3339Micro } from "../../apimachinery/index.ts";
import type { NodeReport, PodStats, TrafficStats, UsageStats } from "./node-stats.ts";

export const METRICS_GROUP = "metrics.k8s.io";
const API_VERSION = "metrics.k8s.io/v1beta1";

/** Requests a second that went to the pod through the proxies of all nodes. */
export const REQUESTS_PER_SECOND = "kubun.dev/requests-per-second";
/** Requests and connections under way to the pod. */
export const REQUESTS_IN_FLIGHT = "kubun.dev/requests-in-flight";
/** When something was last under way to the pod, as far as the proxies that answered know. */
export const LAST_REQUEST = "kubun.dev/last-request";
/** Names nodes whose proxies did not answer: the other annotations may say too little. */
export const TRAFFIC_UNKNOWN = "kubun.dev/traffic-unknown";

type Reports = ReadonlyMap<string, NodeReport | undefined>;

/** Undefined while the node tells nothing. */
export function nodeMetrics(
  { metadata }: Readonly<Node>,
  report: NodeReport | undefined,
): NodeMetrics | undefined {
  if (report === undefined) return undefined;
  const { name = "", labels } = metadata;
  const { cpu } = report.node;
  return {
    kind: "NodeMetrics",
    apiVersion: API_VERSION,
    metadata: { name, creationTimestamp: cpu.time, ...(labels === undefined ? {} : { labels }) },
    timestamp: cpu.time,
    window: windowText(cpu.windowMs),
    usage: usageOf(report.node),
  };
}

/** Metrics of the pods that run and whose nodes tell of them, in the order given. */
export function podMetrics(
  pods: readonly Readonly<Pod>[],
  reports: Reports,
  nowMs: number,
): PodMetrics[] {
  const stats = new Map<string, PodStats>();
  for (const report of reports.values()) {
    for (const pod of report?.pods ?? []) stats.set(pod.podRef.uid, pod);
  }
  const traffic = trafficByIp(reports);
  const silent = [...reports].flatMap(([name, report]) => (report === undefined ? [name] : []));
  return pods.flatMap((pod): PodMetrics[] => {
    const { name = "", namespace = "", labels, uid = "" } = pod.metadata;
    const [first, ...more] = stats.get(uid)?.containers ?? [];
    if (first === undefined) return [];
    const containers = [first, ...more];
    const annotations = {
      ...trafficText(traffic.get(pod.status?.podIP ?? ""), nowMs),
      ...(silent.length === 0 ? {} : { [TRAFFIC_UNKNOWN]: silent.join(",") }),
    };
    return [
      {
        kind: "PodMetrics",
        apiVersion: API_VERSION,
        metadata: {
          name,
          namespace,
          creationTimestamp: first.cpu.time,
          ...(labels === undefined ? {} : { labels }),
          annotations,
        },
        timestamp: first.cpu.time,
        window: windowText(Math.max(...containers.map(({ cpu }) => cpu.windowMs))),
        containers: containers.map((each) => ({ name: each.name, usage: usageOf(each) })),
      },
    ];
  });
}

function trafficByIp(reports: Reports): Map<string, TrafficStats> {
  const sums = new Map<string, TrafficStats>();
  for (const report of reports.values()) {
    for (const each of report?.traffic ?? []) {
      const sum = sums.get(each.ip);
      sums.set(
        each.ip,
        sum === undefined
          ? each
          : {
              ip: each.ip,
              inFlight: sum.inFlight + each.inFlight,
              requestsPerSecond: sum.requestsPerSecond + each.requestsPerSecond,
              idleMs: Math.min(sum.idleMs, each.idleMs),
            },
      );
    }
  }
  return sums;
}

function trafficText(traffic: TrafficStats | undefined, nowMs: number): Record<string, string> {
  if (traffic === undefined) return { [REQUESTS_PER_SECOND]: "0", [REQUESTS_IN_FLIGHT]: "0" };
  return {
    [REQUESTS_PER_SECOND]: traffic.requestsPerSecond.toFixed(3),
    [REQUESTS_IN_FLIGHT]: String(traffic.inFlight),
    [LAST_REQUEST]: rfc3339Micro(nowMs - traffic.idleMs),
  };
}

function usageOf({ cpu, memory }: UsageStats): Record<string, string> {
  return {
    cpu: cpu.usageNanoCores === 0 ? "0" : `${cpu.usageNanoCores}n`,
    memory: `${Math.ceil(memory.workingSetBytes / 1024)}Ki`,
  };
}

/** As Go writes a duration: "10.2s". */
function windowText(ms: number): string {
  return `${Number((ms / 1000).toFixed(3))}s`;
}
