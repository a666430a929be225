import type { Node, Pod } from "../api/index.ts";
import { humanDuration, parseRfc3339 } from "../apimachinery/index.ts";
import { NODES, PODS } from "../client/index.ts";
import type { ClusterConnection } from "./cluster-connection.ts";

/** What `kubun status` prints: where the cluster is and how its nodes and pods are. */
export async function describeStatus(cluster: ClusterConnection, nowMs: number): Promise<string> {
  const [nodes, pods] = await Promise.all([
    cluster.client.resource(NODES).list(),
    cluster.client.resource(PODS).list(),
  ]);
  const age = humanDuration(nowMs - parseRfc3339(cluster.startedAt));
  const rows: [string, string][] = [
    ["server", `${cluster.server} (kubun ${cluster.version}, pid ${cluster.pid}, up ${age})`],
    ["ingress", [cluster.ingress, cluster.ingressHttps].filter(Boolean).join("  ")],
    ...(cluster.dns === undefined ? [] : [["dns", cluster.dns] satisfies [string, string]]),
    ["kubeconfig", cluster.kubeconfig],
    ["nodes", describeNodes(nodes.items)],
    ["pods", describePods(pods.items)],
  ];
  const problems = pods.items.flatMap(describeProblem);
  return [
    ...rows.map(([label, text]) => `${label.padEnd(11)} ${text}\n`),
    ...problems.map((problem) => `  ! ${problem}\n`),
  ].join("");
}

function describeNodes(nodes: readonly Node[]): string {
  const ready = nodes.filter((node) => conditionIs(node.status?.conditions, "Ready"));
  return `${ready.length} of ${nodes.length} ready`;
}

function describePods(pods: readonly Pod[]): string {
  const wanted = pods.filter((pod) => pod.status?.phase !== "Succeeded");
  const ready = wanted.filter((pod) => conditionIs(pod.status?.conditions, "Ready"));
  return `${ready.length} of ${wanted.length} ready`;
}

function describeProblem(pod: Pod): string[] {
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  const waiting = (pod.status?.containerStatuses ?? []).flatMap((container) => {
    const { reason, message } = container.state?.waiting ?? {};
    if (reason === undefined || reason === "ContainerCreating") return [];
    return [`${name}: ${reason}${message === undefined ? "" : `: ${message}`}`];
  });
  if (waiting.length > 0) return waiting;
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === "PodScheduled");
  if (scheduled?.status === "False") return [`${name}: ${scheduled.reason}: ${scheduled.message}`];
  return [];
}

function conditionIs(
  conditions: readonly { type: string; status: string }[] | undefined,
  type: string,
): boolean {
  return conditions?.some((one) => one.type === type && one.status === "True") ?? false;
}
