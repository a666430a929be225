import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../lib/testing/eventually.ts";
import { describeRuntime } from "../testing/runtime-contract.ts";
import { createProcessSpawner } from "../../os/index.ts";
import { SHARING_POD, WasiFixture } from "./testing/wasi-fixture.ts";
import type { PodSandboxConfig } from "../runtime.ts";
import type { WasiRuntime } from "./wasi-runtime.ts";

describeRuntime("createWasiRuntime", async () => new WasiFixture());
describeRuntime(
  "createWasiRuntime with containers that share a process",
  async () => new WasiFixture({}, SHARING_POD),
);

describe("createWasiRuntime", () => {
  const fixtures: WasiFixture[] = [];
  afterEach(async () => {
    for (const fixture of fixtures.splice(0)) await fixture.dispose();
  });

  function newFixture(options: ConstructorParameters<typeof WasiFixture>[0] = {}): WasiFixture {
    const fixture = new WasiFixture(options);
    fixtures.push(fixture);
    return fixture;
  }

  async function startServer(
    fixture: WasiFixture,
    runtime: WasiRuntime,
    {
      name = "a",
      image = fixture.serverImage,
      pods = {},
    }: { name?: string; image?: string; pods?: Partial<PodSandboxConfig> } = {},
  ) {
    const sandbox = await runtime.runPodSandbox({
      name,
      namespace: "default",
      uid: `uid-${name}`,
      attempt: 0,
      ...pods,
    });
    const logPath = fixture.logPath(name);
    mkdirSync(dirname(logPath), { recursive: true });
    const id = await runtime.createContainer(sandbox.id, {
      name: "main",
      attempt: 0,
      image,
      env: [],
      mounts: [],
      ports: [{ port: 8080, protocol: "TCP" }],
      logPath,
    });
    await runtime.startContainer(id);
    return { id, sandbox };
  }

  test("createWasiRuntime: keeps workers warm and ends those nobody took", async () => {
    const fixture = newFixture({ warmWorkers: 2 });
    const { runtime, close } = await fixture.open();
    await eventually(() => runtime.warmWorkers === 2);
    const workers = join(fixture.root, "state", "workers");
    expect(readdirSync(workers)).toHaveLength(2);
    await close();
    await eventually(() => readdirSync(workers).length === 0);
    await eventually(() => readdirSync(join(fixture.root, "s", "w")).length === 0);
  });

  test("createWasiRuntime: a worker killed from outside is exited with 137", async () => {
    const fixture = newFixture();
    const { runtime, close } = await fixture.open();
    const { id, sandbox } = await startServer(fixture, runtime);
    const { pid = 0 } = await runtime.containerStatus(id);
    process.kill(pid, "SIGKILL");
    const status = await eventually(async () => {
      const now = await runtime.containerStatus(id);
      return now.state === "exited" ? now : undefined;
    });
    expect(status).toMatchObject({ exitCode: 137, reason: "Error" });
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });

  test("createWasiRuntime: a worker killed while the server was away is exited", async () => {
    const fixture = newFixture();
    const first = await fixture.open();
    const { id, sandbox } = await startServer(fixture, first.runtime);
    const { pid = 0 } = await first.runtime.containerStatus(id);
    await first.close();
    process.kill(pid, "SIGKILL");
    const spawner = createProcessSpawner();
    await eventually(() => spawner.identify(pid) === undefined);
    const { runtime, close } = await fixture.open();
    expect(await runtime.containerStatus(id)).toMatchObject({ state: "exited", exitCode: 137 });
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });

  test("createWasiRuntime: a guest that computes does not hold up the next server", async () => {
    const fixture = newFixture();
    const first = await fixture.open();
    const { id, sandbox } = await startServer(fixture, first.runtime, {
      image: fixture.busyImage,
    });
    const before = await first.runtime.containerStatus(id);
    await first.close();
    const { runtime, close } = await fixture.open();
    expect(await runtime.containerStatus(id)).toEqual(before);
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });

  test("createWasiRuntime: a shared process is adopted, and takes in more", async () => {
    const fixture = newFixture({ warmWorkers: 0 });
    const first = await fixture.open();
    const pods = SHARING_POD;
    const a = await startServer(fixture, first.runtime, { name: "a", pods });
    const b = await startServer(fixture, first.runtime, { name: "b", pods });
    const { pid } = await first.runtime.containerStatus(a.id);
    await first.close();
    const { runtime, close } = await fixture.open();
    expect(await runtime.containerStatus(b.id)).toMatchObject({ state: "running", pid });
    const c = await startServer(fixture, runtime, { name: "c", pods });
    expect((await runtime.containerStatus(c.id)).pid).toBe(pid ?? 0);
    await runtime.stopContainer(a.id, { gracePeriodMs: 10_000 });
    expect(await runtime.containerStatus(a.id)).toMatchObject({ exitCode: 143 });
    for (const { sandbox } of [b, c]) {
      expect((await fixture.fetch(runtime, sandbox.ip, 8080, "/healthz")).status).toBe(200);
    }
    for (const { sandbox } of [a, b, c]) await runtime.removePodSandbox(sandbox.id);
    await close();
    // Nobody is in it any more, and no server that could put somebody in.
    await eventually(() => createProcessSpawner().identify(pid ?? 0) === undefined);
    expect(readdirSync(join(fixture.root, "state", "workers"))).toEqual([]);
  });

  test("createWasiRuntime: a worker whose sockets were removed starts over", async () => {
    const fixture = newFixture();
    const first = await fixture.open();
    const { id, sandbox } = await startServer(fixture, first.runtime);
    await first.close();
    rmSync(join(fixture.root, "s"), { recursive: true });
    const { runtime, close } = await fixture.open();
    expect(await runtime.containerStatus(id)).toMatchObject({ state: "exited", exitCode: 137 });
    const { image, logPath } = await runtime.containerStatus(id);
    const next = await runtime.createContainer(sandbox.id, {
      name: "again",
      attempt: 1,
      image,
      env: [],
      mounts: [],
      ports: [{ port: 8080, protocol: "TCP" }],
      logPath,
    });
    await runtime.startContainer(next);
    const answer = await fixture.fetch(runtime, sandbox.ip, 8080, "/healthz");
    expect(answer.status).toBe(200);
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });

  test("createWasiRuntime: a port is reached when what ran there before is removed", async () => {
    const fixture = newFixture();
    const { runtime, close } = await fixture.open();
    const { id, sandbox } = await startServer(fixture, runtime);
    await runtime.stopContainer(id, { gracePeriodMs: 0 });
    expect(runtime.endpoint(sandbox.ip, 8080)).toBeUndefined();
    const next = await runtime.createContainer(sandbox.id, {
      name: "main",
      attempt: 1,
      image: fixture.serverImage,
      env: [],
      mounts: [],
      ports: [{ port: 8080, protocol: "TCP" }],
      logPath: fixture.logPath("a"),
    });
    await runtime.startContainer(next);
    await runtime.removeContainer(id);
    const answer = await fixture.fetch(runtime, sandbox.ip, 8080, "/healthz");
    expect(answer.status).toBe(200);
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });

  test("createWasiRuntime: refuses a container image and says what it runs", async () => {
    const fixture = newFixture();
    const { runtime, close } = await fixture.open();
    const digest = `sha256:${"1".repeat(64)}`;
    fixture.addImage({ reference: "nginx", digest, kind: "oci", config: {}, sizeBytes: 1 });
    const config = { name: "a", namespace: "default", uid: "u", attempt: 0 };
    const sandbox = await runtime.runPodSandbox(config);
    const error = await runtime
      .createContainer(sandbox.id, {
        name: "main",
        attempt: 0,
        image: "nginx",
        env: [],
        mounts: [],
        ports: [],
        logPath: fixture.logPath("main"),
      })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "image-unsupported" });
    expect(String(error)).toContain("runs WASM modules only");
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });

  test("createWasiRuntime: says why a file that is no module cannot run", async () => {
    const fixture = newFixture();
    const { runtime, close } = await fixture.open();
    const modulePath = join(fixture.directory("modules"), "broken.wasm");
    await Bun.write(modulePath, "not a module");
    const digest = `sha256:${"2".repeat(64)}`;
    const image = { reference: "broken:v1", digest, kind: "wasm", modulePath } as const;
    fixture.addImage({ ...image, config: {}, sizeBytes: 1 });
    const config = { name: "a", namespace: "default", uid: "u", attempt: 0 };
    const sandbox = await runtime.runPodSandbox(config);
    mkdirSync(dirname(fixture.logPath("main")), { recursive: true });
    const id = await runtime.createContainer(sandbox.id, {
      name: "main",
      attempt: 0,
      image: "broken:v1",
      env: [],
      mounts: [],
      ports: [],
      logPath: fixture.logPath("main"),
    });
    const error = await runtime.startContainer(id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "start-failed" });
    expect(await runtime.containerStatus(id)).toMatchObject({
      state: "exited",
      exitCode: 128,
      reason: "ContainerCannotRun",
    });
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });

  test("createWasiRuntime: removes what a container leaves on disk", async () => {
    const fixture = newFixture({ warmWorkers: 0 });
    const { runtime, close } = await fixture.open();
    const { sandbox } = await startServer(fixture, runtime);
    await runtime.removePodSandbox(sandbox.id);
    await close();
    const state = join(fixture.root, "state");
    for (const kind of ["sandboxes", "containers", "workers"]) {
      expect(readdirSync(join(state, kind))).toEqual([]);
    }
    expect(readdirSync(join(fixture.root, "s", "p"))).toEqual([]);
    expect(existsSync(join(state, "address-cursor"))).toBe(true);
  });

  test("createWasiRuntime: a start with a warm worker takes a few milliseconds", async () => {
    const fixture = newFixture({ warmWorkers: 1 });
    const { runtime, close } = await fixture.open();
    await eventually(() => runtime.warmWorkers === 1);
    const begunMs = performance.now();
    const { sandbox } = await startServer(fixture, runtime);
    const tookMs = performance.now() - begunMs;
    if (process.env["BENCH"] !== undefined) process.stdout.write(`warm start ${tookMs} ms\n`);
    expect(tookMs).toBeLessThan(2000);
    await runtime.removePodSandbox(sandbox.id);
    await close();
  });
});
