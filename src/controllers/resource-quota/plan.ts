import {
  addAmounts,
  amountsFrom,
  amountsList,
  quotaKindOf,
  quotaNamesFor,
  quotaUsage,
} from "../../api/index.ts";
import type { ResourceQuota, ResourceQuotaStatus } from "../../api/index.ts";
import { jsonEquals, Quantity } from "../../apimachinery/index.ts";
import type { GroupResource, KubeObject } from "../../apimachinery/index.ts";

/** The objects of one kind in the namespace of a quota. */
export interface CountedKind {
  readonly kind: GroupResource;
  readonly objects: readonly Readonly<KubeObject>[];
}

/** The kinds that a quota counts, "pods" or "jobs.batch". */
export function kindsCounted({ spec }: ResourceQuota): ReadonlySet<string> {
  return new Set(Object.keys(spec?.hard ?? {}).map(quotaKindOf));
}

/**
 * The status that tells how much of a quota is used; undefined when it says so already. Kinds that
 * nobody serves have no part in it.
 */
export function planQuotaStatus(
  quota: ResourceQuota,
  counted: readonly CountedKind[],
  nowMs: number,
): ResourceQuotaStatus | undefined {
  const hard = amountsList(amountsFrom(quota.spec?.hard));
  const served = new Set(counted.map(({ kind: { group, resource } }) => nameOf(group, resource)));
  const names = Object.keys(hard).filter((name) => served.has(quotaKindOf(name)));
  const sum = new Map(names.map((name) => [name, Quantity.zero]));
  for (const { kind, objects } of counted) {
    for (const object of objects) {
      const counting = quotaNamesFor(quota, kind, object);
      if (counting.length === 0) continue;
      const usage = quotaUsage(kind, object, nowMs);
      const wanted = counting.flatMap((name) => {
        const amount = usage.get(name);
        return amount === undefined ? [] : ([[name, amount]] as const);
      });
      addAmounts(sum, new Map(wanted));
    }
  }
  const status = { hard, used: amountsList(sum) };
  return jsonEquals(status, quota.status) ? undefined : status;
}

function nameOf(group: string, resource: string): string {
  return group === "" ? resource : `${resource}.${group}`;
}
