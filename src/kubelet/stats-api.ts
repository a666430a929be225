import type { Pod } from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import type { Usage, UsageReport } from "./resource-usage.ts";

/** What `/stats/summary` answers: a part of the Kubernetes kubelet's summary. */
export interface StatsSummary {
  readonly node: { readonly nodeName: string } & UsageStats;
  readonly pods: readonly PodStats[];
}

export interface PodStats {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly startTime: string;
  readonly containers: readonly ({ readonly name: string } & UsageStats)[];
}

interface UsageStats {
  readonly cpu: {
    readonly time: string;
    readonly usageNanoCores: number;
    readonly usageCoreNanoSeconds: number;
    /** Over which the rate was taken; not in Kubernetes, where this is fixed. */
    readonly windowMs: number;
  };
  readonly memory: {
    readonly time: string;
    readonly usageBytes: number;
    readonly workingSetBytes: number;
  };
}

export function statsSummary(
  nodeName: string,
  pods: readonly Pod[],
  { machine, containers }: UsageReport,
): StatsSummary {
  const byPod = Map.groupBy(containers, ({ podUid }) => podUid);
  return {
    node: { nodeName, ...statsOf(machine) },
    pods: pods.flatMap(({ metadata, status }): PodStats[] => {
      const { name = "", namespace = "", uid = "" } = metadata;
      const used = byPod.get(uid);
      if (used === undefined) return [];
      const startTime = status?.startTime ?? metadata.creationTimestamp ?? "";
      return [
        {
          podRef: { name, namespace, uid },
          startTime,
          containers: used.map((each) => ({ name: each.name, ...statsOf(each) })),
        },
      ];
    }),
  };
}

function statsOf(usage: Usage): UsageStats {
  const time = rfc3339(usage.atMs);
  return {
    cpu: {
      time,
      usageNanoCores: usage.cpuNanoCores,
      usageCoreNanoSeconds: usage.cpuNanoseconds,
      windowMs: usage.windowMs,
    },
    memory: { time, usageBytes: usage.memoryBytes, workingSetBytes: usage.memoryBytes },
  };
}
