import type { ContainerRecord } from "../state-directory.ts";
import { type ProcessGroup, WORKER_OVERHEAD_BYTES } from "./process-limits.ts";

/** The limits of a container's worker, as its record has them: the same after a restart. */
export function containerGroup({ id, podUid, config }: ContainerRecord): ProcessGroup {
  const { resources, memoryLimitBytes } = config;
  const { cpuRequestMillis, cpuLimitMillis } = resources ?? {};
  return {
    qosClass: resources?.qosClass ?? "BestEffort",
    podUid,
    name: id,
    podCpuRequestMillis: resources?.podCpuRequestMillis ?? 0,
    resources: {
      ...(cpuRequestMillis === undefined ? {} : { cpuRequestMillis }),
      ...(cpuLimitMillis === undefined ? {} : { cpuLimitMillis }),
      ...(memoryLimitBytes === undefined
        ? {}
        : { memoryBytes: memoryLimitBytes + WORKER_OVERHEAD_BYTES }),
    },
  };
}
