import { apiVersionOf, forbiddenField, invalid, type ListMeta } from "../apimachinery/index.ts";
import type { ListRequest, ObjectList, StoredObject } from "../registry/index.ts";
import { answerJson, answerObject, answerText, type AnswerOptions, wantsPretty } from "./answer.ts";
import type { ApiRequest } from "./api-request.ts";
import { listBody, type ListParts } from "./list-body.ts";
import { limitOf } from "./query-options.ts";
import { includeObjectOf, partialListOf, partialOf, tableOf } from "./table.ts";

const LIST_END = "]}";

/** GET of one object, of its status subresource too. */
export async function getObject(api: ApiRequest): Promise<Response> {
  const version = api.query.get("resourceVersion");
  const options = version === null ? {} : { resourceVersion: version };
  return answerStored(api, await api.resource.get(api.namespace, api.target.name, options));
}

/** An object in the shape that was asked for. */
export function answerStored(
  api: ApiRequest,
  stored: StoredObject,
  options: AnswerOptions = {},
): Promise<Response> {
  const { media, definition, context } = api;
  const pretty = wantsPretty(api.request, api.query);
  const answer = { ...options, warnings: api.warnings, pretty };
  switch (media.representation) {
    case "object":
      return answerText(stored.json(), media, answer);
    case "partial":
      return answerObject(partialOf(stored.object), media, answer);
    case "table": {
      const metadata = { resourceVersion: String(stored.revision) };
      const include = includeObjectOf(api.query);
      const now = context.clock.now();
      const table = { definition, include, now, metadata, columns: "shown" } as const;
      return answerObject(tableOf([stored.object], table), media, answer);
    }
  }
}

export async function listObjects(api: ApiRequest): Promise<Response> {
  if (api.query.has("sendInitialEvents")) {
    const error = forbiddenField("sendInitialEvents", "sendInitialEvents is forbidden for list");
    throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [error]);
  }
  return answerList(api, await api.resource.list(listRequestOf(api)));
}

/** What a request to a collection selects. */
export function listRequestOf({ query, namespace, target }: ApiRequest): ListRequest {
  const given = (name: string): string | undefined => query.get(name) ?? undefined;
  const named = target.watchPath && target.name !== "" ? byName(target.name) : undefined;
  const selectors = [named, given("fieldSelector")].filter((text) => (text ?? "") !== "");
  const request = {
    namespace,
    labelSelector: given("labelSelector"),
    fieldSelector: selectors.length === 0 ? undefined : selectors.join(","),
    resourceVersion: given("resourceVersion"),
    resourceVersionMatch: given("resourceVersionMatch"),
    continue: given("continue"),
    limit: limitOf(query),
  };
  return withoutUndefined(request);
}

/** A field selector for one object; what means something in selectors is escaped. */
function byName(name: string): string {
  return `metadata.name=${name.replace(/[\\,=]/g, "\\$&")}`;
}

export function answerList(api: ApiRequest, list: ObjectList): Response | Promise<Response> {
  const { media, definition, context } = api;
  const metadata = listMeta(list);
  const options = { pretty: wantsPretty(api.request, api.query), warnings: api.warnings };
  switch (media.representation) {
    case "object":
      return media.format === "json" && !options.pretty
        ? answerJson(listBody(listParts(api, list, metadata)), media, options)
        : answerText(listText(api, list, metadata), media, options);
    case "partial": {
      const objects = list.items.map((item) => item.object);
      return answerObject(partialListOf(objects, metadata), media, options);
    }
    case "table": {
      const objects = list.items.map((item) => item.object);
      const include = includeObjectOf(api.query);
      const now = context.clock.now();
      const table = { definition, include, now, metadata, columns: "shown" } as const;
      return answerObject(tableOf(objects, table), media, options);
    }
  }
}

/** Put together from the texts of the objects, none of which is parsed for it. */
function listText(api: ApiRequest, list: ObjectList, metadata: ListMeta): string {
  const items = list.items.map((item) => item.itemJson()).join(",");
  return `${listHead(api, metadata)}${items}${LIST_END}`;
}

function listParts(api: ApiRequest, list: ObjectList, metadata: ListMeta): ListParts {
  const items = list.items.map((item) => item.itemBytes());
  return { head: listHead(api, metadata), items, end: LIST_END };
}

function listHead({ definition }: ApiRequest, metadata: ListMeta): string {
  const type = `"kind":"${definition.listKind}","apiVersion":"${apiVersionOf(definition)}"`;
  return `{${type},"metadata":${JSON.stringify(metadata)},"items":[`;
}

function listMeta(list: ObjectList): ListMeta {
  const metadata: ListMeta = { resourceVersion: String(list.revision) };
  if (list.continue !== undefined) metadata.continue = list.continue;
  if (list.remainingItemCount !== undefined) {
    metadata.remainingItemCount = list.remainingItemCount;
  }
  return metadata;
}

/** Drops what is absent, which exact optional types ask for. */
export function withoutUndefined<T extends object>(
  value: T,
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries) as ReturnType<typeof withoutUndefined<T>>;
}
