import type { CgroupController, CgroupVersion } from "./cgroup-files.ts";
import { CGROUP_CONTROLLERS } from "./cgroup-files.ts";

/** Where the controllers are: with v2 in one directory, with v1 in one each. */
export interface CgroupHierarchies {
  readonly version: CgroupVersion;
  readonly roots: Readonly<Partial<Record<CgroupController, string>>>;
}

/**
 * Reads /proc/mounts. A machine may have both versions mounted; a controller is in one of them, and
 * `unifiedControllers` (cgroup.controllers of the second) says in which. Undefined: no cgroup could
 * limit a processor here.
 */
export function findHierarchies(
  mounts: string,
  unifiedControllers: (directory: string) => string,
): CgroupHierarchies | undefined {
  const roots: Partial<Record<CgroupController, string>> = {};
  for (const line of mounts.split("\n")) {
    const [, directory = "", type, options = ""] = line.split(" ");
    if (type === "cgroup2") {
      const controllers = unifiedControllers(directory).trim().split(" ");
      if (CGROUP_CONTROLLERS.every((controller) => controllers.includes(controller))) {
        return { version: "v2", roots: { cpu: directory, memory: directory, pids: directory } };
      }
    }
    if (type !== "cgroup") continue;
    const mounted = options.split(",");
    for (const controller of CGROUP_CONTROLLERS) {
      if (mounted.includes(controller)) roots[controller] ??= directory;
    }
  }
  return roots.cpu === undefined ? undefined : { version: "v1", roots };
}
