import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../lib/testing/eventually.ts";
import { parseWorkerResult, type WorkerSpec } from "../worker-protocol.ts";
import { MODULES, TestWorker } from "./testing/start-worker.ts";

const CAPACITY = 2;

describe("a worker that several containers share", () => {
  let worker: TestWorker;

  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
  });

  afterEach(() => worker.dispose());

  /** Each container has its own places. */
  function start(containerId: string, module: string, changes: Partial<WorkerSpec> = {}) {
    const unixPath = join(worker.directory, containerId);
    return worker.start(module, {
      containerId,
      ports: [{ port: 8080, protocol: "TCP", unixPath }],
      logPath: join(worker.directory, `${containerId}.log`),
      resultPath: join(worker.directory, `${containerId}.result`),
      shared: { capacity: CAPACITY, name: containerId, blockLimitMs: 30_000 },
      ...changes,
    });
  }

  function resultOf(containerId: string) {
    const path = join(worker.directory, `${containerId}.result`);
    return parseWorkerResult(readFileSync(path, "utf8"));
  }

  async function answers(containerId: string): Promise<number> {
    const unix = join(worker.directory, containerId);
    const headers = { connection: "close" };
    const response = await fetch("http://pod/healthz", { unix, headers, keepalive: false });
    await response.arrayBuffer();
    return response.status;
  }

  test("takes in as many as it was told, and no container for itself beside them", async () => {
    expect(await start("a", MODULES.helloHttp)).toMatchObject({ type: "started" });
    expect(await start("a", MODULES.helloHttp)).toMatchObject({
      type: "error",
      containerId: "a",
      message: "a was started already",
    });
    const alone = worker.spec(MODULES.helloHttp);
    expect(await worker.ask({ type: "start", spec: alone })).toMatchObject({
      message: "this process is for 2 containers, not for 1",
    });
    expect(await start("b", MODULES.helloHttp)).toMatchObject({ type: "started" });
    expect(await start("c", MODULES.helloHttp)).toMatchObject({
      type: "error",
      containerId: "c",
      message: "this process holds 2 containers already",
    });
    expect([await answers("a"), await answers("b")]).toEqual([200, 200]);
  });

  test("tells the end of one, gives its seat and its sockets back, and goes on", async () => {
    await start("a", MODULES.helloHttp);
    await start("b", MODULES.helloHttp);
    const descriptors = () => readdirSync(`/proc/${worker.process.pid}/fd`).length;
    const before = descriptors();
    const stop = { type: "stop", containerId: "a", gracePeriodMs: 60_000 } as const;
    expect(await worker.ask(stop)).toEqual({ type: "stopping", containerId: "a" });
    expect(await worker.ask({ type: "status", containerId: "b" })).toMatchObject({
      containerId: "b",
      phase: "running",
    });
    await eventually(() => existsSync(join(worker.directory, "a.result")));
    expect(resultOf("a")).toMatchObject({ exitCode: 143, reason: "Error", message: "" });
    expect(await worker.next()).toEqual({ type: "ended", containerId: "a" });
    expect(await worker.ask({ type: "status", containerId: "a" })).toMatchObject({
      phase: "absent",
    });
    expect(descriptors()).toBeLessThan(before);
    expect(await start("c", MODULES.helloHttp)).toMatchObject({ type: "started" });
    expect([await answers("b"), await answers("c")]).toEqual([200, 200]);
  });

  test("refuses what cannot run, and lives on", async () => {
    await start("a", MODULES.helloHttp);
    const missing = join(worker.directory, "missing");
    const preopens = [{ guestPath: "/data", hostPath: missing, readOnly: true }];
    for (const [id, module, changes] of [
      ["b", missing, {}],
      ["c", MODULES.helloHttp, { preopens }],
    ] as const) {
      const reply = await start(id, module, changes);
      expect(reply).toMatchObject({ type: "failed", containerId: id });
      expect(await worker.next()).toEqual({ type: "ended", containerId: id });
      expect(resultOf(id)).toMatchObject({ exitCode: 128, reason: "ContainerCannotRun" });
    }
    expect(await answers("a")).toBe(200);
    expect(await start("d", MODULES.helloHttp)).toMatchObject({ type: "started" });
  });

  test("whose result cannot be written takes no other with it", async () => {
    await start("a", MODULES.helloHttp);
    const lost = join(worker.directory, "lost");
    mkdirSync(lost);
    const places = { logPath: join(lost, "log"), resultPath: join(lost, "result") };
    await start("b", MODULES.helloHttp, places);
    rmSync(lost, { recursive: true });
    await fetch("http://pod/exit?code=3", { unix: join(worker.directory, "b") }).catch(() => 0);
    expect(await worker.next()).toEqual({ type: "ended", containerId: "b" });
    expect(await answers("a")).toBe(200);
    expect(await start("b", MODULES.helloHttp)).toMatchObject({ type: "started" });
  });

  test("runs on without a supervisor, and ends with the last container", async () => {
    await start("a", MODULES.helloHttp);
    await start("b", MODULES.probe, { args: ["probe", "exit 3"] });
    await eventually(() => existsSync(join(worker.directory, "b.result")));
    expect(resultOf("b").exitCode).toBe(3);
    worker.disconnect();
    expect(await answers("a")).toBe(200);
    const unix = join(worker.directory, "a");
    await fetch("http://pod/exit?code=4", { unix }).catch(() => undefined);
    await worker.process.exited;
    expect(resultOf("a").exitCode).toBe(4);
  });

  test("ends when its supervisor leaves it without a container", async () => {
    await start("a", MODULES.probe, { args: ["probe", "exit 0"] });
    expect(await worker.next()).toEqual({ type: "ended", containerId: "a" });
    expect(worker.process.exitCode).toBeNull();
    worker.disconnect();
    expect(await worker.process.exited).toBe(143);
  });

  test("lets all of them end on SIGTERM, and takes no more", async () => {
    await start("a", MODULES.helloHttp);
    await start("b", MODULES.helloHttp);
    worker.process.kill("SIGTERM");
    expect(await worker.process.exited).toBe(143);
    expect([resultOf("a").exitCode, resultOf("b").exitCode]).toEqual([143, 143]);
  });
});
