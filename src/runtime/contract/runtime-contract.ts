import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { eventually } from "../../lib/testing/eventually.ts";
import type { ContainerConfig, ContainerEvent, ContainerRuntime } from "../runtime.ts";

/** What a runtime brings to be tested against the contract. */
export interface RuntimeFixture {
  /** A runtime over the same state each time: opening again is a restart of the node's server. */
  open(): Promise<{ runtime: ContainerRuntime; close(): Promise<void> }>;
  /** A program that serves HTTP on its ports: `GET /exit?code=N`, `/env?name=X`, `/file?path=P`. */
  readonly serverImage: string;
  /** A program that never ends and listens to nothing. */
  readonly busyImage: string;
  /** A name behind which there is no image. */
  readonly missingImage: string;
  logPath(name: string): string;
  /** A new empty directory. */
  directory(name: string): string;
  /** One HTTP request to a port of a pod. */
  fetch(runtime: ContainerRuntime, ip: string, port: number, path: string): Promise<Response>;
  dispose(): Promise<void>;
}

const PORT = 8080;

/** The behaviour that every {@link ContainerRuntime} has, as tests. */
export function describeRuntime(name: string, createFixture: () => Promise<RuntimeFixture>): void {
  describe(`${name} as a ContainerRuntime`, () => {
    let fixture: RuntimeFixture;
    let opened: { runtime: ContainerRuntime; close(): Promise<void> };
    let runtime: ContainerRuntime;

    beforeEach(async () => {
      fixture = await createFixture();
      opened = await fixture.open();
      runtime = opened.runtime;
    });

    afterEach(async () => {
      for (const { id } of await runtime.listPodSandboxes()) await runtime.removePodSandbox(id);
      await opened.close();
      await fixture.dispose();
    });

    async function reopen(): Promise<void> {
      await opened.close();
      opened = await fixture.open();
      runtime = opened.runtime;
    }

    function runSandbox(podName: string) {
      const config = { name: podName, namespace: "default", uid: `uid-${podName}`, attempt: 0 };
      return runtime.runPodSandbox(config);
    }

    async function create(
      sandboxId: string,
      changes: Partial<ContainerConfig> = {},
    ): Promise<string> {
      const logPath = fixture.logPath(changes.name ?? "main");
      mkdirSync(dirname(logPath), { recursive: true });
      await runtime.pullImage(changes.image ?? fixture.serverImage, {
        signal: new AbortController().signal,
      });
      return runtime.createContainer(sandboxId, {
        name: "main",
        attempt: 0,
        image: fixture.serverImage,
        env: [],
        mounts: [],
        ports: [{ port: PORT, protocol: "TCP" }],
        logPath,
        ...changes,
      });
    }

    async function start(sandboxId: string, changes: Partial<ContainerConfig> = {}) {
      const id = await create(sandboxId, changes);
      await runtime.startContainer(id);
      return id;
    }

    function ended(id: string) {
      return eventually(async () => {
        const status = await runtime.containerStatus(id);
        return status.state === "exited" ? status : undefined;
      });
    }

    test("runPodSandbox gives each pod an address of its own and keeps what it was told", async () => {
      const [a, b] = [await runSandbox("a"), await runSandbox("b")];
      expect(a.ip).not.toBe(b.ip);
      expect(await runtime.podSandboxStatus(a.id)).toMatchObject({
        name: "a",
        uid: "uid-a",
        state: "ready",
        handler: runtime.handlers[0],
      });
      const found = await runtime.listPodSandboxes({ podUid: "uid-b" });
      expect(found.map(({ id }) => id)).toEqual([b.id]);
    });

    test("runPodSandbox refuses a handler that the runtime does not have", async () => {
      const config = { name: "a", namespace: "d", uid: "u", attempt: 0, handler: "nonsense" };
      const error = await runtime.runPodSandbox(config).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "unsupported" });
    });

    test("startContainer runs the program, and its port answers", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id, { env: [["GREETING", "hello from the test"]] });
      const status = await runtime.containerStatus(id);
      expect(status).toMatchObject({ state: "running", name: "main", attempt: 0 });
      expect(status.startedAt).toBeGreaterThan(0);
      expect(status.imageRef).toContain("@sha256:");
      const answer = await fixture.fetch(runtime, sandbox.ip, PORT, "/env?name=GREETING");
      expect(await answer.text()).toContain("hello from the test");
      expect((await runtime.containerStats(id))?.memoryBytes).toBeGreaterThan(0);
    });

    test("a program that ends by itself is exited with its code", async () => {
      const sandbox = await runSandbox("a");
      for (const [code, reason] of [
        [0, "Completed"],
        [7, "Error"],
      ] as const) {
        const id = await start(sandbox.id, { attempt: code });
        await fixture.fetch(runtime, sandbox.ip, PORT, `/exit?code=${code}`);
        expect(await ended(id)).toMatchObject({ exitCode: code, reason, attempt: code });
        expect(await runtime.containerStats(id)).toBeUndefined();
      }
    });

    test("stopContainer lets the program end, and does nothing the second time", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id);
      await runtime.stopContainer(id, { gracePeriodMs: 10_000 });
      expect(await runtime.containerStatus(id)).toMatchObject({ state: "exited", exitCode: 143 });
      await runtime.stopContainer(id, { gracePeriodMs: 10_000 });
      await runtime.stopContainer("no-such-container", { gracePeriodMs: 0 });
    });

    test("stopContainer kills what does not end within the grace period", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id, { image: fixture.busyImage, ports: [] });
      await runtime.stopContainer(id, { gracePeriodMs: 100 });
      const { exitCode, reason } = await runtime.containerStatus(id);
      expect({ exitCode, reason }).toEqual({ exitCode: 137, reason: "Error" });
    });

    test("a second stopContainer with a shorter grace period counts", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id, { image: fixture.busyImage, ports: [] });
      const patient = runtime.stopContainer(id, { gracePeriodMs: 3_600_000 });
      await runtime.stopContainer(id, { gracePeriodMs: 0 });
      await patient;
      expect((await runtime.containerStatus(id)).exitCode).toBe(137);
    });

    test("ending one container leaves its neighbour alone", async () => {
      const sandbox = await runSandbox("a");
      const one = await start(sandbox.id);
      const two = await start(sandbox.id, {
        name: "two",
        ports: [{ port: 8081, protocol: "TCP" }],
      });
      await runtime.stopContainer(one, { gracePeriodMs: 0 });
      expect((await runtime.containerStatus(two)).state).toBe("running");
      expect((await fixture.fetch(runtime, sandbox.ip, 8081, "/healthz")).status).toBe(200);
      expect(runtime.endpoint(sandbox.ip, PORT)).toBeUndefined();
    });

    test("createContainer mounts directories and gives command and args", async () => {
      const sandbox = await runSandbox("a");
      const hostPath = fixture.directory("volume");
      await Bun.write(`${hostPath}/greeting`, "from a volume");
      const mounts = [{ guestPath: "/data", hostPath, readOnly: true }];
      await start(sandbox.id, { mounts, command: ["server"], args: ["--flag"] });
      const answer = await fixture.fetch(runtime, sandbox.ip, PORT, "/file?path=/data/greeting");
      expect(await answer.text()).toBe("from a volume");
    });

    test("createContainer refuses an image that was not pulled, and an unknown sandbox", async () => {
      const sandbox = await runSandbox("a");
      const config = {
        name: "main",
        attempt: 0,
        image: fixture.missingImage,
        env: [],
        mounts: [],
        ports: [],
        logPath: fixture.logPath("main"),
      };
      const missing = runtime.createContainer(sandbox.id, config).catch((error: unknown) => error);
      expect(await missing).toMatchObject({ code: "image-missing" });
      const image = fixture.serverImage;
      const lost = runtime.createContainer("x", { ...config, image }).catch((e: unknown) => e);
      expect(await lost).toMatchObject({ code: "not-found" });
    });

    test("pullImage says that an image does not exist", async () => {
      const { signal } = new AbortController();
      const error = await runtime
        .pullImage(fixture.missingImage, { signal })
        .catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "image-not-found" });
      expect(await runtime.imageStatus(fixture.missingImage)).toBeUndefined();
    });

    test("startContainer refuses a container that was started before", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id);
      const error = await runtime.startContainer(id).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "invalid-config" });
      expect((await runtime.containerStatus(id)).state).toBe("running");
    });

    test("logs stand in the CRI's format where the kubelet asked for them", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id);
      const { logPath } = await runtime.containerStatus(id);
      await runtime.stopContainer(id, { gracePeriodMs: 5000 });
      const [line = ""] = (await Bun.file(logPath).text()).split("\n");
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (stdout|stderr) [FP] /);
    });

    test("events tell every change in order, from the subscription on", async () => {
      const sandbox = await runSandbox("a");
      const abort = new AbortController();
      const seen: ContainerEvent[] = [];
      const reading = (async () => {
        for await (const event of runtime.events(abort.signal)) seen.push(event);
      })();
      const id = await start(sandbox.id);
      await runtime.stopContainer(id, { gracePeriodMs: 0 });
      await runtime.removeContainer(id);
      await eventually(() => seen.length === 4);
      abort.abort();
      await reading;
      expect(seen.map(({ type }) => type)).toEqual(["created", "started", "stopped", "deleted"]);
      expect(new Set(seen.map(({ containerId }) => containerId))).toEqual(new Set([id]));
      expect(seen[0]?.podUid).toBe("uid-a");
    });

    test("removePodSandbox takes running containers along, and is idempotent", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id);
      await runtime.removePodSandbox(sandbox.id);
      await runtime.removePodSandbox(sandbox.id);
      expect(await runtime.listContainers()).toEqual([]);
      expect(await runtime.listPodSandboxes()).toEqual([]);
      const lost = await runtime.containerStatus(id).catch((error: unknown) => error);
      expect(lost).toMatchObject({ code: "not-found" });
    });

    test("a running container survives a restart of the server and is still its own", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id, { attempt: 3, annotations: { note: "kept" } });
      const before = await runtime.containerStatus(id);
      await reopen();
      expect(await runtime.containerStatus(id)).toEqual(before);
      expect((await runtime.podSandboxStatus(sandbox.id)).ip).toBe(sandbox.ip);
      expect((await fixture.fetch(runtime, sandbox.ip, PORT, "/healthz")).status).toBe(200);
      expect((await runSandbox("b")).ip).not.toBe(sandbox.ip);
      await runtime.stopContainer(id, { gracePeriodMs: 10_000 });
      expect((await runtime.containerStatus(id)).exitCode).toBe(143);
    });

    test("an end that nobody saw is known after a restart, with code and time", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id);
      const socketOrAddress = (path: string) => fixture.fetch(runtime, sandbox.ip, PORT, path);
      await opened.close();
      await socketOrAddress("/exit?code=3");
      opened = await fixture.open();
      runtime = opened.runtime;
      expect(await ended(id)).toMatchObject({ exitCode: 3, reason: "Error" });
      expect(runtime.endpoint(sandbox.ip, PORT)).toBeUndefined();
    });

    test("exec, attach and portForward are refused as unsupported or work", async () => {
      const sandbox = await runSandbox("a");
      const id = await start(sandbox.id);
      const calls = [
        runtime.exec(id, ["sh"]),
        runtime.attach(id),
        runtime.portForward(sandbox.id, PORT),
      ];
      for (const call of calls) {
        expect(await call.catch((error: unknown) => error)).toMatchObject({ code: "unsupported" });
      }
    });
  });
}
