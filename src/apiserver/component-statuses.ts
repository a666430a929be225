import { notFound } from "../apimachinery/index.ts";
import { answerObject, wantsPretty } from "./answer.ts";
import type { ApiRequest } from "./api-request.ts";
import { includeObjectOf, tableOf } from "./table.ts";

/** In one process the parts of the control plane are as healthy as the server that answers. */
const NAMES = ["controller-manager", "scheduler", "etcd-0"];

export function answerComponentStatuses(api: ApiRequest): Promise<Response> {
  const { target, media, definition, context } = api;
  const options = { pretty: wantsPretty(api.request, api.query), warnings: api.warnings };
  const names = target.name === "" ? NAMES : NAMES.filter((name) => name === target.name);
  if (names.length === 0) throw notFound(definition, target.name);
  const items = names.map((name) => ({
    kind: "ComponentStatus",
    apiVersion: "v1",
    metadata: { name },
    conditions: [{ type: "Healthy", status: "True", message: "ok" }],
  }));
  if (media.representation === "table") {
    const now = context.clock.now();
    const include = includeObjectOf(api.query);
    const table = { definition, include, now, metadata: {}, columns: "shown" } as const;
    return answerObject(tableOf(items, table), media, options);
  }
  if (target.name !== "") return answerObject(items[0], media, options);
  const list = { kind: "ComponentStatusList", apiVersion: "v1", metadata: {}, items };
  return answerObject(list, media, options);
}
