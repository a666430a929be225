import { describe, expect, test } from "bun:test";
import { type CgroupVersion, cpuShares, cpuWeight, processFiles } from "./cgroup-files.ts";
import {
  MAX_WORKER_THREADS,
  type ProcessResources,
  sumResources,
  WORKER_OVERHEAD_BYTES,
} from "./process-limits.ts";

const MIB = 1024 * 1024;

function files(version: CgroupVersion, resources: ProcessResources): Record<string, string> {
  return Object.fromEntries(
    processFiles(version, resources).map(({ name, value }) => [name, value]),
  );
}

describe("processFiles", () => {
  const nothing = { "pids.max": `${MAX_WORKER_THREADS}` };
  const v1: [string, ProcessResources, Record<string, string>][] = [
    ["nothing", {}, { "cpu.shares": "2", "cpu.cfs_quota_us": "-1" }],
    ["a request", { cpuRequestMillis: 250 }, { "cpu.shares": "256", "cpu.cfs_quota_us": "-1" }],
    [
      "a limit",
      { cpuRequestMillis: 100, cpuLimitMillis: 200 },
      { "cpu.shares": "102", "cpu.cfs_quota_us": "20000" },
    ],
    ["a limit too small", { cpuLimitMillis: 1 }, { "cpu.shares": "2", "cpu.cfs_quota_us": "1000" }],
    [
      "memory",
      { memoryBytes: 64 * MIB },
      { "cpu.shares": "2", "cpu.cfs_quota_us": "-1", "memory.limit_in_bytes": "67108864" },
    ],
  ];
  for (const [what, resources, expected] of v1) {
    test(`processFiles of version 1 for ${what}`, () => {
      expect(files("v1", resources)).toEqual({
        "cpu.cfs_period_us": "100000",
        ...nothing,
        ...expected,
      });
    });
  }

  const v2: [string, ProcessResources, Record<string, string>][] = [
    ["nothing", {}, { "cpu.weight": "1", "cpu.max": "max 100000" }],
    [
      "a request and a limit",
      { cpuRequestMillis: 1000, cpuLimitMillis: 1500 },
      { "cpu.weight": "100", "cpu.max": "150000 100000" },
    ],
    [
      "memory",
      { memoryBytes: 64 * MIB },
      {
        "cpu.weight": "1",
        "cpu.max": "max 100000",
        "memory.max": "67108864",
        "memory.oom.group": "1",
      },
    ],
  ];
  for (const [what, resources, expected] of v2) {
    test(`processFiles of version 2 for ${what}`, () => {
      expect(files("v2", resources)).toEqual({ ...nothing, ...expected });
    });
  }
});

describe("cpuShares and cpuWeight", () => {
  test("cpuShares keeps to what the kernel takes", () => {
    expect([0, 1, 10, 1000, 64_000, 1e9].map(cpuShares)).toEqual([2, 2, 10, 1024, 65_536, 262_144]);
  });

  test("cpuWeight goes through the three points it is made for, and never falls", () => {
    expect([2, 1024, 262_144].map(cpuWeight)).toEqual([1, 100, 10_000]);
    // 100m and 10m: the straight line of KEP-2254 had 4 and 1 for them.
    expect([102, 10].map(cpuWeight)).toEqual([17, 4]);
    let before = 0;
    for (let shares = 2; shares <= 262_144; shares += 97) {
      expect(cpuWeight(shares)).toBeGreaterThanOrEqual(before);
      before = cpuWeight(shares);
    }
  });
});

describe("sumResources", () => {
  test("sumResources adds what guests of one process may use, the worker's own memory once", () => {
    const memoryBytes = 10 * MIB + WORKER_OVERHEAD_BYTES;
    const one = { cpuRequestMillis: 100, cpuLimitMillis: 200, memoryBytes };
    expect(sumResources([one, one])).toEqual({
      cpuRequestMillis: 200,
      cpuLimitMillis: 400,
      memoryBytes: 20 * MIB + WORKER_OVERHEAD_BYTES,
    });
  });

  test("sumResources: one guest without a limit leaves its process without", () => {
    expect(sumResources([{ cpuLimitMillis: 200 }, { cpuRequestMillis: 50 }])).toEqual({
      cpuRequestMillis: 50,
    });
  });
});
