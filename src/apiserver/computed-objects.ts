import {
  apiVersionOf,
  type KubeObject,
  type ListMeta,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from "../apimachinery/index.ts";
import { answerObject, wantsPretty } from "./answer.ts";
import type { ApiRequest } from "./api-request.ts";
import { includeObjectOf, partialListOf, partialOf, tableOf } from "./table.ts";

/** Whether a request's selectors and name select an object that is stored nowhere. */
export function selects({ query, target }: ApiRequest): (object: Readonly<KubeObject>) => boolean {
  const labels = parseLabelSelector(query.get("labelSelector") ?? "");
  const fields = parseFieldSelector(query.get("fieldSelector") ?? "");
  return ({ metadata }) => {
    const { name = "", namespace = "" } = metadata;
    if (target.name !== "" && name !== target.name) return false;
    const known = { "metadata.name": name, "metadata.namespace": namespace };
    return matchesLabels(labels, metadata.labels) && matchesFields(fields, known);
  };
}

/** One object that is stored nowhere, in the shape that was asked for. */
export function answerComputed(api: ApiRequest, found: KubeObject): Promise<Response> {
  const { media } = api;
  if (media.representation === "table") return answerTable(api, [found], {});
  const shown = media.representation === "partial" ? partialOf(found) : found;
  return answerObject(shown, media, { pretty: wantsPretty(api.request, api.query) });
}

/** A list of such objects. */
export function answerComputedList(
  api: ApiRequest,
  items: readonly KubeObject[],
  metadata: ListMeta = {},
): Promise<Response> {
  const { media, definition } = api;
  if (media.representation === "table") return answerTable(api, items, metadata);
  const list = { kind: definition.listKind, apiVersion: apiVersionOf(definition) };
  const shown =
    media.representation === "partial"
      ? partialListOf(items, metadata)
      : { ...list, metadata, items };
  return answerObject(shown, media, { pretty: wantsPretty(api.request, api.query) });
}

function answerTable(
  api: ApiRequest,
  items: readonly KubeObject[],
  metadata: ListMeta,
): Promise<Response> {
  const { definition, media, query, context } = api;
  const include = includeObjectOf(query);
  const now = context.clock.now();
  const table = { definition, include, now, metadata, columns: "shown" } as const;
  return answerObject(tableOf(items, table), media, { pretty: wantsPretty(api.request, query) });
}
