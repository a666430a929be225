import { describe, expect, test } from "bun:test";
import { findHierarchies } from "./cgroup-hierarchies.ts";

const V1 = [
  "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0",
  "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0",
  "cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0",
];
const UNIFIED = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0";

describe("findHierarchies", () => {
  test("findHierarchies finds a directory a controller in version 1", () => {
    expect(findHierarchies(V1.join("\n"), () => "")).toEqual({
      version: "v1",
      roots: {
        cpu: "/sys/fs/cgroup/cpu,cpuacct",
        memory: "/sys/fs/cgroup/memory",
        pids: "/sys/fs/cgroup/pids",
      },
    });
  });

  test("findHierarchies takes version 1 where the second has no controllers of its own", () => {
    const mounts = [UNIFIED, ...V1].join("\n");
    expect(findHierarchies(mounts, () => "hugetlb\n")?.version).toBe("v1");
  });

  test("findHierarchies takes version 2 where it has the controllers", () => {
    const root = "/sys/fs/cgroup";
    expect(
      findHierarchies(`cgroup2 ${root} cgroup2 rw 0 0\n`, () => "cpuset cpu io memory pids\n"),
    ).toEqual({ version: "v2", roots: { cpu: root, memory: root, pids: root } });
  });

  test("findHierarchies finds none where nothing limits the processor", () => {
    expect(findHierarchies("proc /proc proc rw 0 0\n", () => "")).toBeUndefined();
    expect(findHierarchies(V1[1] ?? "", () => "")).toBeUndefined();
  });
});
