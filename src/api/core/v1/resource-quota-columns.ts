import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import type { ResourceQuota } from "./types.ts";

export const resourceQuotaColumns: readonly TableColumn<ResourceQuota>[] = [
  NAME_COLUMN,
  column("Request", "Used and allowed, of everything but limits.", (quota) =>
    usageText(quota, (resource) => !resource.startsWith("limits")),
  ),
  column("Limit", "Used and allowed, of limits.", (quota) =>
    usageText(quota, (resource) => resource.startsWith("limits")),
  ),
  AGE_COLUMN,
];

function usageText({ status }: ResourceQuota, wanted: (resource: string) => boolean): string {
  return Object.entries(status?.hard ?? {})
    .filter(([resource]) => wanted(resource))
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([resource, hard]) => `${resource}: ${status?.used?.[resource] ?? "0"}/${hard}`)
    .join(", ");
}
