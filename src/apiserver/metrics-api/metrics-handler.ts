import { type Node, NODES, type Pod, PODS } from "../../api/index.ts";
import {
  type KubeObject,
  matchesFields,
  matchesLabels,
  notFound,
  parseFieldSelector,
  parseLabelSelector,
} from "../../apimachinery/index.ts";
import { answerObject, wantsPretty } from "../answer.ts";
import type { ApiRequest } from "../api-request.ts";
import { includeObjectOf, partialListOf, partialOf, tableOf } from "../table.ts";
import { METRICS_GROUP, nodeMetrics, podMetrics } from "./metrics-objects.ts";
import type { NodeReport } from "./node-stats.ts";

/** GET of what nodes or pods use: asked of the nodes now, never stored. */
export async function answerMetrics(api: ApiRequest): Promise<Response> {
  const all = api.definition.resource === "nodes" ? await nodesOf(api) : await podsOf(api);
  const { name } = api.target;
  if (name !== "") {
    const [found] = all;
    if (found !== undefined) return answerOne(api, found);
    throw notFound({ group: METRICS_GROUP, resource: api.definition.resource }, name);
  }
  return answerAll(api, all);
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

function selects({ query, target }: ApiRequest): (object: Readonly<KubeObject>) => boolean {
  const labels = parseLabelSelector(query.get("labelSelector") ?? "");
  const fields = parseFieldSelector(query.get("fieldSelector") ?? "");
  return ({ metadata }) => {
    const { name = "", namespace = "" } = metadata;
    if (target.name !== "" && name !== target.name) return false;
    const known = { "metadata.name": name, "metadata.namespace": namespace };
    return matchesLabels(labels, metadata.labels) && matchesFields(fields, known);
  };
}

function answerOne(api: ApiRequest, found: KubeObject): Promise<Response> {
  const { media } = api;
  if (media.representation === "table") return answerTable(api, [found]);
  const shown = media.representation === "partial" ? partialOf(found) : found;
  return answerObject(shown, media, { pretty: wantsPretty(api.request, api.query) });
}

function answerAll(api: ApiRequest, items: readonly KubeObject[]): Promise<Response> {
  const { media, definition } = api;
  if (media.representation === "table") return answerTable(api, items);
  const list = { kind: definition.listKind, apiVersion: `${METRICS_GROUP}/v1beta1` };
  const shown =
    media.representation === "partial"
      ? partialListOf(items, {})
      : { ...list, metadata: {}, items };
  return answerObject(shown, media, { pretty: wantsPretty(api.request, api.query) });
}

function answerTable(api: ApiRequest, items: readonly KubeObject[]): Promise<Response> {
  const { definition, media, query, context } = api;
  const include = includeObjectOf(query);
  const now = context.clock.now();
  const table = { definition, include, now, metadata: {}, columns: "shown" } as const;
  return answerObject(tableOf(items, table), media, { pretty: wantsPretty(api.request, query) });
}
