import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { silentLogger } from "../../../lib/index.ts";
import { eventually } from "../../../lib/testing/eventually.ts";
import { systemClock } from "../../../os/index.ts";
import type { ContainerConfig } from "../../runtime.ts";
import { WasiFixture } from "../testing/wasi-fixture.ts";
import { findHierarchies } from "./cgroup-hierarchies.ts";
import { CgroupLimits } from "./cgroup-limits.ts";

const hierarchies = findHierarchies(readFileSync("/proc/mounts", "utf8"), (directory) =>
  readFileSync(join(directory, "cgroup.controllers"), "utf8"),
);
/** Cgroups belong to root; CI runs as root. */
const withoutCgroups = process.getuid?.() !== 0 || hierarchies === undefined;
/** A busy machine takes its time. */
const TEST_TIMEOUT_MS = 60_000;
setDefaultTimeout(TEST_TIMEOUT_MS);
const nodeId = `containers-${process.pid}`;

describe.skipIf(withoutCgroups)("a container with limits", () => {
  const fixture = new WasiFixture({
    openLimits: async () => {
      if (hierarchies === undefined) throw new Error("no cgroups");
      const shared = { hierarchies, nodeId, clock: systemClock, logger: silentLogger };
      const limits = new CgroupLimits({ ...shared, cpuMillis: 2000 });
      await limits.open();
      return limits;
    },
  });
  const root = (path: string) => join(hierarchies?.roots.cpu ?? "", "kubun", nodeId, path);

  afterAll(async () => {
    for (const path of ["besteffort", "burstable", ""]) {
      for (const one of new Set(Object.values(hierarchies?.roots ?? {}))) {
        const directory = join(one, "kubun", nodeId, path);
        if (existsSync(directory)) rmdirSync(directory);
      }
    }
    await fixture.dispose();
  });

  test("keeps its cgroup over a restart of the server; what nobody has goes", async () => {
    const first = await fixture.open();
    const pod = { name: "pod", namespace: "default", uid: "u", attempt: 0 };
    const sandbox = await first.runtime.runPodSandbox(pod);
    const config: ContainerConfig = {
      name: "app",
      attempt: 0,
      image: fixture.busyImage,
      env: [],
      mounts: [],
      ports: [],
      logPath: fixture.logPath("app"),
      memoryLimitBytes: 16 * 1024 * 1024,
      resources: { qosClass: "Burstable", cpuLimitMillis: 200, podCpuRequestMillis: 100 },
    };
    mkdirSync(dirname(config.logPath), { recursive: true });
    const id = await first.runtime.createContainer(sandbox.id, config);
    await first.runtime.startContainer(id);
    const { pid = 0 } = await first.runtime.containerStatus(id);
    const path = `burstable/podu/${id}`;
    const cgroups = () => readFileSync(`/proc/${pid}/cgroup`, "utf8");
    await eventually(() => cgroups().includes(path));
    await first.close();
    mkdirSync(root("burstable/podleft/over"), { recursive: true });

    const second = await fixture.open();
    expect(cgroups()).toContain(path);
    expect(existsSync(root("burstable/podleft"))).toBe(false);
    const throttled = async () => (await second.runtime.containerStats(id))?.throttling;
    const held = async () => ((await throttled())?.throttledPeriods ?? 0) > 0;
    await eventually(held, { deadlineMs: TEST_TIMEOUT_MS / 2 });
    await second.runtime.removePodSandbox(sandbox.id);
    await eventually(() => !existsSync(root("burstable/podu")));
    await second.close();
  });
});
