import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../../lib/testing/eventually.ts";
import type { ContainerConfig, ContainerStatus, PodSandbox } from "../../runtime.ts";
import { SHARING_POD as SHARING, WasiFixture } from "../testing/wasi-fixture.ts";
import type { WasiRuntime } from "../wasi-runtime.ts";
import { MODULES } from "../worker/testing/start-worker.ts";

const HOSTILE = "hostile:v1";
const MIB = 1024 * 1024;
/** Nobody may compute for more than a second: long enough for a busy machine to be no culprit. */
const SHARING_POD = {
  ...SHARING,
  annotations: { ...SHARING.annotations, "kubun.dev/request-timeout": "1s" },
};

/** One runtime for all tests: what a guest does to its process must not be felt by the next. */
describe("guests that share a process", () => {
  const fixture = new WasiFixture({ warmWorkers: 0 });
  let opened: { runtime: WasiRuntime; close(): Promise<void> };
  let neighbour: Started;
  let pods = 0;

  interface Started {
    readonly sandbox: PodSandbox;
    readonly id: string;
    readonly logPath: string;
  }

  beforeAll(async () => {
    const digest = `sha256:${createHash("sha256").update(HOSTILE).digest("hex")}`;
    const image = {
      reference: HOSTILE,
      digest,
      kind: "wasm",
      modulePath: MODULES.hostile,
    } as const;
    fixture.addImage({ ...image, config: {}, sizeBytes: 1 });
    opened = await fixture.open();
    neighbour = await start({ image: fixture.serverImage });
  });

  afterAll(async () => {
    for (const { id } of await opened.runtime.listPodSandboxes()) {
      await opened.runtime.removePodSandbox(id);
    }
    await opened.close();
    await fixture.dispose();
  });

  async function start(changes: Partial<ContainerConfig>, sandbox?: PodSandbox): Promise<Started> {
    const { runtime } = opened;
    const name = `pod-${pods++}`;
    const config = { name, namespace: "default", uid: name, attempt: 0, ...SHARING_POD };
    const pod = sandbox ?? (await runtime.runPodSandbox(config));
    const logPath = fixture.logPath(name);
    mkdirSync(dirname(logPath), { recursive: true });
    const id = await runtime.createContainer(pod.id, {
      name: "main",
      attempt: 0,
      image: HOSTILE,
      env: [],
      mounts: [],
      ports: [{ port: 8080, protocol: "TCP" }],
      logPath,
      ...changes,
    });
    await runtime.startContainer(id);
    return { sandbox: pod, id, logPath };
  }

  const hostile = (...command: string[]) => start({ command: ["guest", ...command] });

  function statusOf({ id }: Started): Promise<ContainerStatus> {
    return opened.runtime.containerStatus(id);
  }

  function ended(started: Started): Promise<ContainerStatus> {
    return eventually(async () => {
      const status = await statusOf(started);
      return status.state === "exited" ? status : undefined;
    });
  }

  async function answers({ sandbox }: Started, path = "/healthz"): Promise<number> {
    return (await fixture.fetch(opened.runtime, sandbox.ip, 8080, path)).status;
  }

  test("are in one process, each with its own port, log and environment", async () => {
    const other = await start({ image: fixture.serverImage, env: [["GREETING", "the other"]] });
    expect((await statusOf(other)).pid).toBe((await statusOf(neighbour)).pid);
    const { runtime } = opened;
    const answer = await fixture.fetch(runtime, other.sandbox.ip, 8080, "/env?name=GREETING");
    expect(await answer.text()).toContain("the other");
    expect(await answers(neighbour, "/env?name=GREETING")).not.toBe(200);
    const { ip } = other.sandbox;
    expect((await fetch(`http://${ip}:8080/healthz`, { keepalive: false })).status).toBe(200);
    const stats = await runtime.containerStats(other.id);
    expect(stats?.cpuNanoseconds).toBeGreaterThan(0);
    await runtime.stopContainer(other.id, { gracePeriodMs: 5000 });
    expect(await statusOf(other)).toMatchObject({ state: "exited", exitCode: 143 });
    expect(readFileSync(other.logPath, "utf8")).not.toBe("");
    expect(await answers(neighbour)).toBe(200);
  });

  test("do not meet those of another account or namespace, nor one that wants none", async () => {
    const { runtime } = opened;
    const { pid } = await statusOf(neighbour);
    for (const [index, change] of [
      { serviceAccount: "other" },
      { namespace: "other" },
      { annotations: {} },
    ].entries()) {
      const base = { name: `apart-${index}`, namespace: "default", uid: `apart-${index}` };
      const config = { ...base, attempt: 0, ...SHARING_POD, ...change };
      const apart = await start({}, await runtime.runPodSandbox(config));
      expect((await statusOf(apart)).pid).not.toBe(pid);
      await runtime.removePodSandbox(apart.sandbox.id);
    }
  });

  test("end alone by a trap, by an exit, and for want of memory", async () => {
    const cases = [
      [await hostile("trap"), 134, "Error", "wasm trap: Unreachable code"],
      [await hostile("exit", "7"), 7, "Error", ""],
      [
        await start({ command: ["guest", "grow"], memoryLimitBytes: 4 * MIB }),
        137,
        "OOMKilled",
        "refused memory beyond its 4194304 bytes",
      ],
    ] as const;
    for (const [started, exitCode, reason, words] of cases) {
      const status = await ended(started);
      expect(status).toMatchObject({ exitCode, reason });
      expect(status.message ?? "").toContain(words);
    }
    expect(await answers(neighbour)).toBe(200);
  });

  test("cannot take each other's descriptors", async () => {
    const volume = fixture.directory("many");
    writeFileSync(join(volume, "file"), "x");
    const mounts = [{ guestPath: "/data", hostPath: volume, readOnly: true }];
    const greedy = await start({ command: ["guest", "descriptors", "/data/file"], mounts });
    expect(await ended(greedy)).toMatchObject({ exitCode: 0 });
    expect(readFileSync(greedy.logPath, "utf8")).toMatch(/opened \d{2,3} then No file descriptors/);
    const answered = await Promise.all(Array.from({ length: 20 }, () => answers(neighbour)));
    expect(answered).toEqual(Array.from({ length: 20 }, () => 200));
  });

  test("that talk without end let the others have their turn", async () => {
    const loud = await hostile("flood");
    for (let count = 0; count < 10; count++) expect(await answers(neighbour)).toBe(200);
    expect((await statusOf(loud)).state).toBe("running");
    await opened.runtime.stopContainer(loud.id, { gracePeriodMs: 0 });
    expect(await statusOf(loud)).toMatchObject({ exitCode: 137, reason: "Error" });
    expect(await answers(neighbour)).toBe(200);
  });

  test("that are idle for longer than one may compute are left alone", async () => {
    const { pid } = await statusOf(neighbour);
    const deadlineMs = performance.now() + 1600;
    await eventually(() => performance.now() > deadlineMs);
    expect(await answers(neighbour)).toBe(200);
    expect(await statusOf(neighbour)).toMatchObject({ state: "running", pid });
  });

  test("end together when one computes for ever, and that one shares no more", async () => {
    const culprit = await hostile("serve");
    answers(culprit, "/loop").catch(() => undefined);
    const [guilty, innocent] = [await ended(culprit), await ended(neighbour)];
    expect(guilty).toMatchObject({ exitCode: 124, reason: "Error" });
    expect(guilty.message).toContain("computed for more than 1000 ms");
    expect(innocent).toMatchObject({ exitCode: 137, reason: "Error" });
    const { name } = culprit.sandbox;
    expect(innocent.message).toContain(`ended for default/${name}/main, which shares it`);
    for (const { logPath } of [culprit, neighbour]) {
      expect(readFileSync(logPath, "utf8")).toContain("computed for more than 1000 ms");
    }
    const again = await start({ image: fixture.serverImage, attempt: 1 }, neighbour.sandbox);
    const parted = await start({ attempt: 1 }, culprit.sandbox);
    expect(await answers(again)).toBe(200);
    expect(await answers(parted)).toBe(200);
    expect((await statusOf(parted)).pid).not.toBe((await statusOf(again)).pid);
  });
});
