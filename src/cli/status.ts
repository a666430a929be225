import type { Node, Pod } from "../api/index.ts";
import { humanDuration, parseRfc3339 } from "../apimachinery/index.ts";
import { DEPLOYMENTS, NODES, PODS } from "../client/index.ts";
import type { ClusterConnection } from "./cluster-connection.ts";
import { diagnose } from "./diagnosis.ts";
import type { Problem } from "./diagnosis.ts";

/** A screen's worth. */
const MAX_PROBLEMS = 20;

/** What `kubun status` prints: where the cluster is, how its nodes and pods are, what is wrong. */
export async function describeStatus(cluster: ClusterConnection, nowMs: number): Promise<string> {
  const [nodes, pods, deployments] = await Promise.all([
    cluster.client.resource(NODES).list(),
    cluster.client.resource(PODS).list(),
    cluster.client.resource(DEPLOYMENTS).list(),
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
  const problems = diagnose({
    nodes: nodes.items,
    pods: pods.items,
    deployments: deployments.items,
  });
  return [
    ...rows.map(([label, text]) => `${label.padEnd(11)} ${text}\n`),
    ...describeProblems(problems),
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

/** Each with what to do about it; of very many, the first. */
function describeProblems(problems: readonly Problem[]): string[] {
  const shown = problems
    .slice(0, MAX_PROBLEMS)
    .map(({ what, advice }) => `  ! ${what}\n      → ${advice}\n`);
  const more = problems.length - shown.length;
  return more === 0 ? shown : [...shown, `  ! and ${more} more\n`];
}

function conditionIs(
  conditions: readonly { type: string; status: string }[] | undefined,
  type: string,
): boolean {
  return conditions?.some((one) => one.type === type && one.status === "True") ?? false;
}
