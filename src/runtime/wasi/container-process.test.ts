import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { createProcessSpawner, systemClock } from "../../os/index.ts";
import { SHARING_POD, WasiFixture } from "./testing/wasi-fixture.ts";
import type { PodSandboxConfig } from "../runtime.ts";
import { noLimits, type ProcessLimits, WORKER_OVERHEAD_BYTES } from "./limits/process-limits.ts";
import type { WasiRuntime } from "./wasi-runtime.ts";

const FAKE_WORKER = [process.execPath, join(import.meta.dir, "testing", "fake-worker.ts")];

describe("ContainerProcess", () => {
  const opened: { fixture: WasiFixture; runtime: WasiRuntime }[] = [];
  afterEach(async () => {
    for (const { fixture, runtime } of opened.splice(0)) {
      for (const { id } of await runtime.listPodSandboxes()) await runtime.removePodSandbox(id);
      runtime.shutdown();
      await fixture.dispose();
    }
  });

  async function open(options: ConstructorParameters<typeof WasiFixture>[0] = {}) {
    const fixture = new WasiFixture({ workerCommand: FAKE_WORKER, warmWorkers: 0, ...options });
    const { runtime } = await fixture.open();
    opened.push({ fixture, runtime });
    return { fixture, runtime };
  }

  async function create(
    { fixture, runtime }: { fixture: WasiFixture; runtime: WasiRuntime },
    behaviour: string,
    memoryLimitBytes?: number,
    pod: Partial<PodSandboxConfig> = {},
  ): Promise<string> {
    const config = { name: "a", namespace: "default", uid: "u", attempt: 0, ...pod };
    const sandbox = await runtime.runPodSandbox(config);
    mkdirSync(dirname(fixture.logPath("main")), { recursive: true });
    return runtime.createContainer(sandbox.id, {
      name: "main",
      attempt: 0,
      image: fixture.serverImage,
      command: [behaviour],
      env: [],
      mounts: [],
      ports: [],
      logPath: fixture.logPath("main"),
      ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
    });
  }

  function exited(runtime: WasiRuntime, id: string) {
    return eventually(async () => {
      const status = await runtime.containerStatus(id);
      return status.state === "exited" ? status : undefined;
    });
  }

  test("ContainerProcess: takes code, words and time from the worker's result", async () => {
    const world = await open();
    const id = await create(world, "plain");
    await world.runtime.startContainer(id);
    await world.runtime.stopContainer(id, { gracePeriodMs: 10_000 });
    expect(await world.runtime.containerStatus(id)).toMatchObject({
      exitCode: 5,
      reason: "Error",
      message: "asked to end",
      finishedAt: Date.UTC(2026, 0, 1, 0, 0, 0, 123),
    });
  });

  test("ContainerProcess: what is left of a grace period may have a fraction", async () => {
    const world = await open();
    const id = await create(world, "plain");
    await world.runtime.startContainer(id);
    await world.runtime.stopContainer(id, { gracePeriodMs: 9998.63 });
    expect((await world.runtime.containerStatus(id)).exitCode).toBe(5);
  });

  test("ContainerProcess: who is turned away from a shared process has ended", async () => {
    const world = await open();
    const id = await create(world, "turn-away", undefined, SHARING_POD);
    const error = await world.runtime.startContainer(id).catch((reason: unknown) => reason);
    expect(String(error)).toContain("this process is about to end");
    expect((await world.runtime.containerStatus(id)).state).toBe("exited");
  });

  test("ContainerProcess: a refused start says why", async () => {
    const world = await open();
    const id = await create(world, "refuse");
    const error = await world.runtime.startContainer(id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "start-failed", message: "no such export" });
    expect((await world.runtime.containerStatus(id)).state).toBe("exited");
  });

  test("ContainerProcess: a worker that dies at the start leaves its last words", async () => {
    const world = await open();
    const id = await create(world, "die-at-start");
    const error = await world.runtime.startContainer(id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "start-failed", message: "the sky fell" });
    expect((await world.runtime.containerStatus(id)).exitCode).toBe(9);
  });

  test("ContainerProcess: one that is removed while it waits for a worker never runs", async () => {
    const world = await open();
    const id = await create(world, "plain");
    const started = world.runtime.startContainer(id).catch((reason: unknown) => reason);
    await world.runtime.removeContainer(id);
    expect(await started).toMatchObject({ code: "start-failed" });
    expect(readdirSync(join(world.fixture.root, "state", "containers"))).toEqual([]);
    expect(readdirSync(join(world.fixture.root, "state", "workers"))).toEqual([]);
  });

  test("ContainerProcess: leaves nothing of a worker whose shell is late", async () => {
    const world = await open();
    const ids = await Promise.all(Array.from({ length: 8 }, () => create(world, "plain")));
    await Promise.all(ids.map((id) => world.runtime.startContainer(id)));
    await Promise.all(ids.map((id) => world.runtime.removeContainer(id)));
    expect(readdirSync(join(world.fixture.root, "state", "workers"))).toEqual([]);
  });

  test("ContainerProcess: a worker that hangs up instead of starting is ended", async () => {
    const world = await open();
    const id = await create(world, "hang-up");
    const error = await world.runtime.startContainer(id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "start-failed" });
    expect((await world.runtime.containerStatus(id)).exitCode).toBe(137);
  });

  test("ContainerProcess: a lost control connection is not taken for an end", async () => {
    const world = await open();
    const id = await create(world, "drop-control");
    await world.runtime.startContainer(id);
    const { pid = 0 } = await world.runtime.containerStatus(id);
    await world.runtime.stopContainer(id, { gracePeriodMs: 0 });
    expect((await world.runtime.containerStatus(id)).exitCode).toBe(137);
    expect(createProcessSpawner().identify(pid)).toBeUndefined();
  });

  test("ContainerProcess: one that is deaf to stop and SIGTERM is killed", async () => {
    const world = await open();
    const id = await create(world, "deaf");
    await world.runtime.startContainer(id);
    await world.runtime.stopContainer(id, { gracePeriodMs: 50 });
    expect((await world.runtime.containerStatus(id)).exitCode).toBe(137);
  });

  test("ContainerProcess: resident memory far over the limit ends it as OOMKilled", async () => {
    const real = createProcessSpawner();
    const usage = { residentBytes: 2 * 1024 + WORKER_OVERHEAD_BYTES + 1, cpuNanoseconds: 0 };
    // The check comes every ten seconds: this clock lets it come at once.
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now(),
      monotonic: () => systemClock.monotonic(),
      after: (delayMs, callback) => systemClock.after(delayMs === 10_000 ? 1 : delayMs, callback),
    };
    const world = await open({ clock, spawner: { ...real, usage: () => usage } });
    const id = await create(world, "plain", 1024);
    await world.runtime.startContainer(id);
    expect(await exited(world.runtime, id)).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  });

  test("ContainerProcess: one that the kernel ended for want of memory is OOMKilled", async () => {
    const removed: string[] = [];
    const limits: ProcessLimits = {
      ...noLimits,
      ranOutOfMemory: () => true,
      remove: async ({ name }) => void removed.push(name),
    };
    const world = await open({ openLimits: async () => limits });
    const id = await create(world, "plain");
    await world.runtime.startContainer(id);
    const { pid = 0 } = await world.runtime.containerStatus(id);
    process.kill(pid, "SIGKILL");
    expect(await exited(world.runtime, id)).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
    expect(removed).toEqual([id]);
  });

  test("ContainerProcess: a worker that cannot be started fails the container", async () => {
    const world = await open({ workerCommand: ["/nonexistent/worker"] });
    const id = await create(world, "plain");
    const error = await world.runtime.startContainer(id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "start-failed" });
    expect(await world.runtime.containerStatus(id)).toMatchObject({
      state: "exited",
      exitCode: 128,
      reason: "ContainerCannotRun",
    });
  });

  test("ContainerProcess: state that may hold secrets is the owner's alone", async () => {
    const world = await open();
    const id = await create(world, "plain");
    const directory = join(world.fixture.root, "state", "containers", id);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, "state.json")).mode & 0o777).toBe(0o600);
  });
});
