import { MAX_WORKER_THREADS, type ProcessResources } from "./process-limits.ts";

export type CgroupVersion = "v1" | "v2";
export const CGROUP_CONTROLLERS = ["cpu", "memory", "pids"] as const;
export type CgroupController = (typeof CGROUP_CONTROLLERS)[number];

/** One file of a cgroup and what is written there. */
export interface CgroupFile {
  readonly controller: CgroupController;
  readonly name: string;
  readonly value: string;
}

/** The kernel's default, and the kubelet's: how long a quota of processor time is for. */
export const CPU_PERIOD_MICROSECONDS = 100_000;
/** The kernel refuses a smaller quota. */
const MIN_CPU_QUOTA_MICROSECONDS = 1000;
const SHARES_PER_CPU = 1024;
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;

/** The files that hold a process to its resources. Pure. */
export function processFiles(version: CgroupVersion, resources: ProcessResources): CgroupFile[] {
  const { cpuRequestMillis = 0, cpuLimitMillis, memoryBytes } = resources;
  return [
    shareFile(version, cpuRequestMillis),
    ...quotaFiles(version, cpuLimitMillis),
    ...(memoryBytes === undefined ? [] : memoryFiles(version, memoryBytes)),
    { controller: "pids", name: "pids.max", value: `${MAX_WORKER_THREADS}` },
  ];
}

/** The part of the processor that falls to a cgroup among its siblings, when all want more. */
export function shareFile(version: CgroupVersion, requestMillis: number): CgroupFile {
  const shares = cpuShares(requestMillis);
  return version === "v1"
    ? { controller: "cpu", name: "cpu.shares", value: `${shares}` }
    : { controller: "cpu", name: "cpu.weight", value: `${cpuWeight(shares)}` };
}

/** As the kubelet does: 1,024 for a whole processor. */
export function cpuShares(requestMillis: number): number {
  const shares = Math.floor((requestMillis * SHARES_PER_CPU) / 1000);
  return Math.min(Math.max(shares, MIN_SHARES), MAX_SHARES);
}

/**
 * Shares 2…262,144 as a weight 1…10,000, as container runtimes do since 2025 (runc 1.3.2, crun
 * 1.23): through (2, 1), (1024, 100) and (262144, 10000), so that a request of one processor weighs
 * what the kernel gives by default. The straight line of KEP-2254 gave it 39.
 */
export function cpuWeight(shares: number): number {
  if (shares <= MIN_SHARES) return 1;
  if (shares >= MAX_SHARES) return 10_000;
  const log = Math.log2(shares);
  const exponent = (log * log + 125 * log) / 612 - 7 / 34;
  // What is whole but for the last digits of a double must not be rounded up.
  return Math.ceil(10 ** exponent - 1e-9);
}

function quotaFiles(version: CgroupVersion, limitMillis: number | undefined): CgroupFile[] {
  const period = `${CPU_PERIOD_MICROSECONDS}`;
  const quota =
    limitMillis === undefined
      ? undefined
      : Math.max(
          Math.round((limitMillis * CPU_PERIOD_MICROSECONDS) / 1000),
          MIN_CPU_QUOTA_MICROSECONDS,
        );
  if (version === "v2") {
    return [{ controller: "cpu", name: "cpu.max", value: `${quota ?? "max"} ${period}` }];
  }
  return [
    { controller: "cpu", name: "cpu.cfs_period_us", value: period },
    { controller: "cpu", name: "cpu.cfs_quota_us", value: `${quota ?? -1}` },
  ];
}

function memoryFiles(version: CgroupVersion, bytes: number): CgroupFile[] {
  const name = version === "v1" ? "memory.limit_in_bytes" : "memory.max";
  const unlimited = version === "v1" ? "-1" : "max";
  const value = bytes === Number.POSITIVE_INFINITY ? unlimited : `${bytes}`;
  const limit: CgroupFile = { controller: "memory", name, value };
  // A worker and its watching thread go together, and so do several processes of one container.
  const whole: CgroupFile = { controller: "memory", name: "memory.oom.group", value: "1" };
  return version === "v1" ? [limit] : [limit, whole];
}
