import { type Node, NODES, type Pod, PODS } from "../../api/index.ts";
import { type KubeObject, notFound } from "../../apimachinery/index.ts";
import type { ApiRequest } from "../api-request.ts";
import { answerComputed, answerComputedList, selects } from "../computed-objects.ts";
import { METRICS_GROUP, nodeMetrics, podMetrics } from "./metrics-objects.ts";
import type { NodeReport } from "./node-stats.ts";

/** GET of what nodes or pods use: asked of the nodes now, never stored. */
export async function answerMetrics(api: ApiRequest): Promise<Response> {
  const all = api.definition.resource === "nodes" ? await nodesOf(api) : await podsOf(api);
  const { name } = api.target;
  if (name !== "") {
    const [found] = all;
    if (found !== undefined) return answerComputed(api, found);
    throw notFound({ group: METRICS_GROUP, resource: api.definition.resource }, name);
  }
  return answerComputedList(api, all);
}

/** Every node of the cluster: the traffic to a pod goes through the proxies of all. */
async function reportsOf({ context }: ApiRequest): Promise<ReadonlyMap<string, Report>> {
  const nodes = context.registry.present.all(NODES, "");
  return context.nodeStats.of(nodes.filter(isReady).map(({ metadata }) => metadata.name ?? ""));
}

type Report = NodeReport | undefined;

/** A node that is known to be gone is not asked. */
function isReady({ status }: Readonly<Node>): boolean {
  return status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
}

async function nodesOf(api: ApiRequest): Promise<KubeObject[]> {
  const nodes = api.context.registry.present.all(NODES, "").filter(selects(api));
  const reports = await reportsOf(api);
  return nodes.flatMap((node) => nodeMetrics(node, reports.get(node.metadata.name ?? "")) ?? []);
}

async function podsOf(api: ApiRequest): Promise<KubeObject[]> {
  const { present } = api.context.registry;
  const pods: readonly Readonly<Pod>[] = present.all(PODS, api.namespace).filter(selects(api));
  const reports = await reportsOf(api);
  return podMetrics(pods, reports, api.context.clock.now());
}
