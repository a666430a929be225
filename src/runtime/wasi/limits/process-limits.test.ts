import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../lib/index.ts";
import { eventually } from "../../../lib/testing/eventually.ts";
import { createProcessSpawner, systemClock } from "../../../os/index.ts";
import type { ProcessIdentity } from "../../process-spawner.ts";
import { findHierarchies } from "./cgroup-hierarchies.ts";
import { CgroupLimits } from "./cgroup-limits.ts";
import type { ProcessGroup, ProcessLimits } from "./process-limits.ts";
import { MAX_NICE, SignalLimits } from "./signal-limits.ts";

const MIB = 1024 * 1024;
/** A second of a loop's own may take many on a busy machine. */
const TEST_TIMEOUT_MS = 60_000;
setDefaultTimeout(TEST_TIMEOUT_MS);
const spawner = createProcessSpawner();
const children: Bun.Subprocess[] = [];
const nodeId = `test-${process.pid}`;

const hierarchies = findHierarchies(readFileSync("/proc/mounts", "utf8"), (directory) =>
  readFileSync(join(directory, "cgroup.controllers"), "utf8"),
);
/** Cgroups belong to root; CI and the lab run as root. */
const withoutCgroups = process.getuid?.() !== 0 || hierarchies === undefined;

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map(({ exited }) => exited));
  if (withoutCgroups) return;
  await (await openCgroups()).sweep();
  const roots = new Set(Object.values(hierarchies.roots));
  for (const root of roots) {
    // A server that starts meanwhile sweeps what stands empty.
    for (const path of ["besteffort", ""]) {
      const directory = join(root, "kubun", nodeId, path);
      if (existsSync(directory)) rmdirSync(directory);
    }
  }
});

function start(script: string): ProcessIdentity {
  const child = Bun.spawn(["/bin/sh", "-c", script], { stdio: ["ignore", "ignore", "ignore"] });
  children.push(child);
  const identity = spawner.identify(child.pid);
  if (identity === undefined) throw new Error(`${script} ended at once`);
  return identity;
}

function group(name: string, more: Partial<ProcessGroup> = {}): ProcessGroup {
  const resources = {};
  return { qosClass: "Burstable", podUid: "uid", name, podCpuRequestMillis: 0, resources, ...more };
}

async function openCgroups(): Promise<CgroupLimits> {
  if (hierarchies === undefined) throw new Error("no cgroups");
  const options = {
    hierarchies,
    nodeId,
    cpuMillis: 2000,
    clock: systemClock,
    logger: silentLogger,
  };
  const limits = new CgroupLimits(options);
  await limits.open();
  return limits;
}

function directoryOf(path: string): string {
  return join(hierarchies?.roots.cpu ?? "", "kubun", nodeId, path);
}

/** The part of a processor that a loop got over a second and more of the machine's time. */
async function runLoop(limits: ProcessLimits, kind: ProcessGroup) {
  const loop = start("while :; do :; done");
  await limits.place(loop, kind);
  const read = () => (spawner.usage(loop)?.cpuNanoseconds ?? 0) / 1e6;
  const [fromMs, usedMs] = [performance.now(), read()];
  // On a busy machine it takes a while until the loop gets as much as its limit.
  const held = () => (limits.throttling(kind)?.throttledPeriods ?? 0) > 0;
  await eventually(() => performance.now() - fromMs > 1200 && held(), {
    deadlineMs: TEST_TIMEOUT_MS / 2,
  });
  const share = (read() - usedMs) / (performance.now() - fromMs);
  const throttling = limits.throttling(kind);
  spawner.kill(loop, "SIGKILL");
  await eventually(() => !spawner.isAlive(loop));
  return { share, throttling };
}

describe.skipIf(withoutCgroups)("CgroupLimits", () => {
  test("CgroupLimits keeps a process that loops at its part of a processor", async () => {
    const limits = await openCgroups();
    const resources = { cpuRequestMillis: 1000, cpuLimitMillis: 200 };
    const limited = group("loop", { resources, podCpuRequestMillis: 1000 });
    const { share, throttling } = await runLoop(limits, limited);
    // A busy machine gives less than the limit.
    expect(share).toBeGreaterThan(0.02);
    expect(share).toBeLessThan(0.25);
    expect(throttling?.throttledPeriods).toBeGreaterThan(0);
    expect(throttling?.throttledNanoseconds).toBeGreaterThan(0);
    expect(limits.throttling(group("other"))).toBeUndefined();
    await limits.remove(limited);
    expect(existsSync(directoryOf("burstable/poduid"))).toBe(false);
  });

  test("CgroupLimits gives pods and containers the kubelet's shape and weight", async () => {
    const limits = await openCgroups();
    const sleeper = start("exec sleep 100");
    const one = { qosClass: "Guaranteed", resources: { cpuRequestMillis: 500 } } as const;
    await limits.place(sleeper, group("a", { ...one, podCpuRequestMillis: 700 }));
    const two = { resources: { cpuRequestMillis: 100 }, podCpuRequestMillis: 100 };
    await limits.place(sleeper, group("b", { ...two, podUid: "second" }));
    await limits.place(sleeper, group("c", { ...two, podUid: "third" }));
    const file = hierarchies?.version === "v1" ? "cpu.shares" : "cpu.weight";
    const paths = ["", "poduid", "poduid/a", "burstable", "burstable/podsecond/b"];
    const values = paths.map((path) => Number(readFileSync(join(directoryOf(path), file), "utf8")));
    expect(values).toEqual(
      hierarchies?.version === "v1" ? [2048, 716, 512, 204, 102] : [174, 76, 59, 29, 17],
    );
    expect(readFileSync(join(directoryOf("burstable/podthird/c"), "cgroup.procs"), "utf8")).toBe(
      `${sleeper.pid}\n`,
    );
    const free = group("free", { qosClass: "BestEffort" });
    await limits.place(sleeper, free);
    const besteffort = () => readFileSync(join(directoryOf("besteffort"), "cgroup.procs"), "utf8");
    expect(besteffort()).toBe(`${sleeper.pid}\n`);
    expect([limits.ranOutOfMemory(free), limits.throttling(free)]).toEqual([false, undefined]);
    spawner.kill(sleeper, "SIGKILL");
  });

  test("CgroupLimits tells that the kernel ended a process for want of memory", async () => {
    const limits = await openCgroups();
    const small = group("memory", { resources: { memoryBytes: 8 * MIB } });
    const eater = start("sleep 0.2; text=x; while :; do text=$text$text; done");
    await limits.place(eater, small);
    await eventually(() => !spawner.isAlive(eater));
    expect(limits.ranOutOfMemory(small)).toBe(true);
    expect(limits.ranOutOfMemory(group("fine"))).toBe(false);
  });

  test("CgroupLimits sweeps what nobody adopted, and keeps what runs", async () => {
    const before = await openCgroups();
    const sleeper = start("exec sleep 100");
    const kept = group("kept", { podUid: "known" });
    await before.place(sleeper, kept);
    mkdirSync(directoryOf("burstable/podgone/x"), { recursive: true });
    const stranger = directoryOf("../a-node-that-is-gone");
    mkdirSync(join(stranger, "besteffort/pod1"), { recursive: true });

    const after = await openCgroups();
    after.adopt(sleeper, kept);
    await after.sweep();
    expect(existsSync(directoryOf("burstable/podgone"))).toBe(false);
    expect(existsSync(stranger)).toBe(false);
    expect(existsSync(directoryOf("burstable/podknown/kept"))).toBe(true);
    spawner.kill(sleeper, "SIGKILL");
    await eventually(() => !spawner.isAlive(sleeper));
    await after.remove(kept);
    const last = await openCgroups();
    await last.sweep();
    expect(existsSync(directoryOf("burstable"))).toBe(false);
  });
});

describe("CgroupLimits over plain files", () => {
  test("CgroupLimits of version 2 hands controllers down before it uses them", async () => {
    const root = mkdtempSync(join(tmpdir(), "kubun-cgroup-"));
    const roots = { cpu: root, memory: root, pids: root };
    const limits = new CgroupLimits({
      hierarchies: { version: "v2", roots },
      nodeId: "n",
      cpuMillis: 1000,
      clock: systemClock,
      logger: silentLogger,
    });
    await limits.open();
    const resources = { cpuLimitMillis: 200, memoryBytes: MIB };
    const limited = group("c", { resources });
    await limits.place({ pid: 4711, startTime: "1" }, limited);
    const read = (path: string) => readFileSync(join(root, path), "utf8");
    for (const path of [
      "",
      "kubun/",
      "kubun/n/",
      "kubun/n/burstable/",
      "kubun/n/burstable/poduid/",
    ]) {
      expect(read(`${path}cgroup.subtree_control`)).toBe("+cpu +memory +pids");
    }
    const leaf = "kubun/n/burstable/poduid/c";
    expect(existsSync(join(root, leaf, "cgroup.subtree_control"))).toBe(false);
    expect(read(`${leaf}/cpu.max`)).toBe("20000 100000");
    expect(read(`${leaf}/memory.max`)).toBe(`${MIB}`);
    expect(read(`${leaf}/cgroup.procs`)).toBe("4711");
    await limits.place({ pid: 4711, startTime: "1" }, group("c", { resources: {} }));
    expect(read(`${leaf}/cpu.max`)).toBe("max 100000");
    expect(read(`${leaf}/memory.max`)).toBe("max");
    await limits.place({ pid: 4711, startTime: "1" }, limited);
    expect(read(`${leaf}/memory.max`)).toBe(`${MIB}`);

    writeFileSync(join(root, leaf, "memory.events"), "low 0\noom 1\noom_kill 1\n");
    writeFileSync(join(root, leaf, "cpu.stat"), "nr_periods 9\nnr_throttled 3\nthrottled_usec 7\n");
    expect(limits.ranOutOfMemory(limited)).toBe(true);
    const throttling = { periods: 9, throttledPeriods: 3, throttledNanoseconds: 7000 };
    expect(limits.throttling(limited)).toEqual(throttling);
    rmSync(root, { recursive: true });
  });
});

describe("SignalLimits", () => {
  test.skipIf(!existsSync("/proc/self/autogroup"))(
    "SignalLimits has the session of a worker step back, not only the process within it",
    async () => {
      const argv = ["/bin/sleep", "60"];
      const directory = mkdtempSync(join(tmpdir(), "kubun-session-"));
      const worker = await spawner.spawnWorker({ argv, env: {}, directory, maxOpenFiles: 64 });
      const limits = new SignalLimits({ spawner, clock: systemClock, logger: silentLogger });
      await limits.place(worker.identity, group("session"));
      const read = (): string => readFileSync(`/proc/${worker.identity.pid}/autogroup`, "utf8");
      await eventually(() => read().endsWith(` nice ${MAX_NICE}\n`));
      worker.discard();
      limits.close();
      await eventually(() => !spawner.isAlive(worker.identity));
      rmSync(directory, { recursive: true, force: true });
    },
  );

  test("SignalLimits keeps a process that loops near its part of a processor", async () => {
    const limits = new SignalLimits({ spawner, clock: systemClock, logger: silentLogger });
    const limited = group("loop", { resources: { cpuRequestMillis: 1000, cpuLimitMillis: 50 } });
    const { share, throttling } = await runLoop(limits, limited);
    expect(share).toBeLessThan(0.25);
    expect(throttling?.throttledPeriods).toBeGreaterThan(0);
    limits.close();
  });

  test("SignalLimits continues what it stopped, also when its server is killed", async () => {
    const state = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[2];
    const stopped = (pid: number) => eventually(() => state(pid) === "T");
    const runs = (pid: number) => eventually(() => state(pid) === "R");
    const limited = group("loop", { resources: { cpuLimitMillis: 1 } });
    const closed = start("while :; do :; done");
    const limits = new SignalLimits({ spawner, clock: systemClock, logger: silentLogger });
    await limits.place(closed, limited);
    await stopped(closed.pid);
    limits.close();
    await runs(closed.pid);
    spawner.kill(closed, "SIGKILL");

    const left = start("while :; do :; done");
    const server = Bun.spawn([process.execPath, "-e", KILLED_SERVER, `${left.pid}`], {
      cwd: import.meta.dir,
      stdout: "pipe",
    });
    children.push(server);
    await stopped(left.pid);
    server.kill("SIGKILL");
    await runs(left.pid);
    spawner.kill(left, "SIGKILL");
  });
});

const KILLED_SERVER = `
const { SignalLimits } = await import("./signal-limits.ts");
const { createProcessSpawner, systemClock } = await import("../../../os/index.ts");
const { silentLogger } = await import("../../../lib/index.ts");
const spawner = createProcessSpawner();
const limits = new SignalLimits({ spawner, clock: systemClock, logger: silentLogger });
const resources = { cpuLimitMillis: 1 };
const group = { qosClass: "Burstable", podUid: "u", name: "n", podCpuRequestMillis: 0, resources };
await limits.place(spawner.identify(Number(process.argv[1])), group);
setInterval(() => {}, 1000);
`;
