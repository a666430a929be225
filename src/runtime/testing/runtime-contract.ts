import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { eventually } from "../../lib/testing/eventually.ts";
import type {
  ContainerConfig,
  ContainerEvent,
  ContainerRuntime,
  ContainerStatus,
  PodSandbox,
  PodSandboxConfig,
} from "../runtime.ts";

/** What a runtime brings to be tested against the contract. */
export interface RuntimeFixture {
  /** A runtime over the same state each time: opening again is a restart of the node's server. */
  open(): Promise<{ runtime: ContainerRuntime; close(): Promise<void> }>;
  /** A program that serves HTTP on its ports: `GET /exit?code=N`, `/env?name=X`, `/file?path=P`. */
  readonly serverImage: string;
  /** A program that never ends and listens to nothing. */
  readonly busyImage: string;
  /** A component that serves HTTP on its ports, `GET /` with 200; absent where none can run. */
  readonly componentImage?: string;
  /** A name behind which there is no image. */
  readonly missingImage: string;
  /** What every pod is made with, besides its name. */
  readonly podConfig?: Partial<PodSandboxConfig>;
  logPath(name: string): string;
  /** A new empty directory. */
  directory(name: string): string;
  /** One HTTP request to a port of a pod. */
  fetch(runtime: ContainerRuntime, ip: string, port: number, path: string): Promise<Response>;
  dispose(): Promise<void>;
}

const PORT = 8080;
/** Of a machine that has other things to do. */
const TIMEOUT_MS = 30_000;

/** One opened runtime with what the tests do to it again and again. */
class ContractWorld {
  readonly fixture: RuntimeFixture;
  #opened: { runtime: ContainerRuntime; close(): Promise<void> } | undefined;

  constructor(fixture: RuntimeFixture) {
    this.fixture = fixture;
  }

  get runtime(): ContainerRuntime {
    if (this.#opened === undefined) throw new Error("the runtime is not open");
    return this.#opened.runtime;
  }

  async open(): Promise<void> {
    this.#opened = await this.fixture.open();
  }

  async close(): Promise<void> {
    await this.#opened?.close();
  }

  async reopen(): Promise<void> {
    await this.close();
    await this.open();
  }

  async dispose(): Promise<void> {
    for (const { id } of await this.runtime.listPodSandboxes()) {
      await this.runtime.removePodSandbox(id);
    }
    await this.close();
    await this.fixture.dispose();
  }

  runSandbox(podName: string): Promise<PodSandbox> {
    const config = { name: podName, namespace: "default", uid: `uid-${podName}`, attempt: 0 };
    return this.runtime.runPodSandbox({ ...config, ...this.fixture.podConfig });
  }

  async create(sandboxId: string, changes: Partial<ContainerConfig> = {}): Promise<string> {
    const logPath = this.fixture.logPath(changes.name ?? "main");
    mkdirSync(dirname(logPath), { recursive: true });
    const image = changes.image ?? this.fixture.serverImage;
    await this.runtime.pullImage(image, { signal: new AbortController().signal });
    return this.runtime.createContainer(sandboxId, {
      name: "main",
      attempt: 0,
      image,
      env: [],
      mounts: [],
      ports: [{ port: PORT, protocol: "TCP" }],
      logPath,
      ...changes,
    });
  }

  async start(sandboxId: string, changes: Partial<ContainerConfig> = {}): Promise<string> {
    const id = await this.create(sandboxId, changes);
    await this.runtime.startContainer(id);
    return id;
  }

  /** A program that was just entered does not yet listen to signals. */
  async serving({ ip }: PodSandbox): Promise<void> {
    await this.fixture.fetch(this.runtime, ip, PORT, "/healthz");
  }

  ended(id: string): Promise<ContainerStatus> {
    return eventually(async () => {
      const status = await this.runtime.containerStatus(id);
      return status.state === "exited" ? status : undefined;
    });
  }
}

interface ContractTest {
  readonly name: string;
  readonly run: (world: ContractWorld) => Promise<void>;
}

const CONTRACT: ContractTest[] = [];

function contract(name: string, run: ContractTest["run"]): void {
  CONTRACT.push({ name, run });
}

contract(
  "runPodSandbox gives each pod an address of its own and keeps what it was told",
  async (world) => {
    const [a, b] = [await world.runSandbox("a"), await world.runSandbox("b")];
    expect(a.ip).not.toBe(b.ip);
    expect(await world.runtime.podSandboxStatus(a.id)).toMatchObject({
      name: "a",
      uid: "uid-a",
      state: "ready",
      handler: world.runtime.handlers[0],
    });
    const found = await world.runtime.listPodSandboxes({ podUid: "uid-b" });
    expect(found.map(({ id }) => id)).toEqual([b.id]);
  },
);

contract("runPodSandbox refuses a handler that the runtime does not have", async (world) => {
  const config = { name: "a", namespace: "d", uid: "u", attempt: 0, handler: "nonsense" };
  const error = await world.runtime.runPodSandbox(config).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "unsupported" });
});

contract("startContainer runs the program, and its port answers", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id, { env: [["GREETING", "hello from the test"]] });
  const status = await world.runtime.containerStatus(id);
  expect(status).toMatchObject({ state: "running", name: "main", attempt: 0 });
  expect(status.startedAt).toBeGreaterThan(0);
  expect(status.imageRef).toContain("@sha256:");
  const answer = await world.fixture.fetch(world.runtime, sandbox.ip, PORT, "/env?name=GREETING");
  expect(await answer.text()).toContain("hello from the test");
  expect((await world.runtime.containerStats(id))?.memoryBytes).toBeGreaterThan(0);
});

contract("a program that ends by itself is exited with its code", async (world) => {
  const sandbox = await world.runSandbox("a");
  for (const [code, reason] of [
    [0, "Completed"],
    [7, "Error"],
  ] as const) {
    const id = await world.start(sandbox.id, { attempt: code });
    await world.fixture.fetch(world.runtime, sandbox.ip, PORT, `/exit?code=${code}`);
    expect(await world.ended(id)).toMatchObject({ exitCode: code, reason, attempt: code });
    expect(await world.runtime.containerStats(id)).toBeUndefined();
  }
});

contract("stopContainer lets the program end, and does nothing the second time", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id);
  await world.serving(sandbox);
  await world.runtime.stopContainer(id, { gracePeriodMs: 10_000 });
  expect(await world.runtime.containerStatus(id)).toMatchObject({ state: "exited", exitCode: 143 });
  await world.runtime.stopContainer(id, { gracePeriodMs: 10_000 });
  await world.runtime.stopContainer("no-such-container", { gracePeriodMs: 0 });
});

contract("stopContainer kills what does not end within the grace period", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id, { image: world.fixture.busyImage, ports: [] });
  await world.runtime.stopContainer(id, { gracePeriodMs: 100 });
  const { exitCode, reason } = await world.runtime.containerStatus(id);
  expect({ exitCode, reason }).toEqual({ exitCode: 137, reason: "Error" });
});

contract("a second stopContainer with a shorter grace period counts", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id, { image: world.fixture.busyImage, ports: [] });
  const patient = world.runtime.stopContainer(id, { gracePeriodMs: 3_600_000 });
  await world.runtime.stopContainer(id, { gracePeriodMs: 0 });
  await patient;
  expect((await world.runtime.containerStatus(id)).exitCode).toBe(137);
});

contract("ending one container leaves its neighbour alone", async (world) => {
  const sandbox = await world.runSandbox("a");
  const one = await world.start(sandbox.id);
  const two = await world.start(sandbox.id, {
    name: "two",
    ports: [{ port: 8081, protocol: "TCP" }],
    // A container's program is not told its ports.
    env: [["PORT", "8081"]],
  });
  await world.runtime.stopContainer(one, { gracePeriodMs: 0 });
  expect((await world.runtime.containerStatus(two)).state).toBe("running");
  expect((await world.fixture.fetch(world.runtime, sandbox.ip, 8081, "/healthz")).status).toBe(200);
  expect(world.runtime.endpoint(sandbox.ip, PORT)).toBeUndefined();
});

contract("createContainer mounts directories and gives command and args", async (world) => {
  const sandbox = await world.runSandbox("a");
  const hostPath = world.fixture.directory("volume");
  await Bun.write(`${hostPath}/greeting`, "from a volume");
  const mounts = [{ guestPath: "/data", hostPath, readOnly: true }];
  await world.start(sandbox.id, { mounts, command: ["server"], args: ["--flag"] });
  const answer = await world.fixture.fetch(
    world.runtime,
    sandbox.ip,
    PORT,
    "/file?path=/data/greeting",
  );
  expect(await answer.text()).toBe("from a volume");
});

contract(
  "createContainer refuses an image that was not pulled, and an unknown sandbox",
  async (world) => {
    const sandbox = await world.runSandbox("a");
    const config = {
      name: "main",
      attempt: 0,
      image: world.fixture.missingImage,
      env: [],
      mounts: [],
      ports: [],
      logPath: world.fixture.logPath("main"),
    };
    const missing = world.runtime
      .createContainer(sandbox.id, config)
      .catch((error: unknown) => error);
    expect(await missing).toMatchObject({ code: "image-missing" });
    const image = world.fixture.serverImage;
    const lost = world.runtime.createContainer("x", { ...config, image }).catch((e: unknown) => e);
    expect(await lost).toMatchObject({ code: "not-found" });
  },
);

contract("pullImage says that an image does not exist", async (world) => {
  const { signal } = new AbortController();
  const error = await world.runtime
    .pullImage(world.fixture.missingImage, { signal })
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "image-not-found" });
  expect(await world.runtime.imageStatus(world.fixture.missingImage)).toBeUndefined();
});

contract("startContainer refuses a container that was started before", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id);
  const error = await world.runtime.startContainer(id).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "invalid-config" });
  expect((await world.runtime.containerStatus(id)).state).toBe("running");
});

contract("logs stand in the CRI's format where the kubelet asked for them", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id);
  const { logPath } = await world.runtime.containerStatus(id);
  await world.serving(sandbox);
  await world.runtime.stopContainer(id, { gracePeriodMs: 5000 });
  const [line = ""] = (await Bun.file(logPath).text()).split("\n");
  expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (stdout|stderr) [FP] /);
});

contract("events tell every change in order, from the subscription on", async (world) => {
  const sandbox = await world.runSandbox("a");
  const abort = new AbortController();
  const seen: ContainerEvent[] = [];
  const reading = (async () => {
    for await (const event of world.runtime.events(abort.signal)) seen.push(event);
  })();
  const id = await world.start(sandbox.id);
  await world.runtime.stopContainer(id, { gracePeriodMs: 0 });
  await world.runtime.removeContainer(id);
  await eventually(() => seen.length === 4);
  abort.abort();
  await reading;
  expect(seen.map(({ type }) => type)).toEqual(["created", "started", "stopped", "deleted"]);
  expect(new Set(seen.map(({ containerId }) => containerId))).toEqual(new Set([id]));
  expect(seen[0]?.podUid).toBe("uid-a");
});

contract("removePodSandbox takes running containers along, and is idempotent", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id);
  await world.runtime.removePodSandbox(sandbox.id);
  await world.runtime.removePodSandbox(sandbox.id);
  expect(await world.runtime.listContainers()).toEqual([]);
  expect(await world.runtime.listPodSandboxes()).toEqual([]);
  const lost = await world.runtime.containerStatus(id).catch((error: unknown) => error);
  expect(lost).toMatchObject({ code: "not-found" });
});

contract(
  "a running container survives a restart of the server and is still its own",
  async (world) => {
    const sandbox = await world.runSandbox("a");
    const id = await world.start(sandbox.id, { attempt: 3, annotations: { note: "kept" } });
    const before = await world.runtime.containerStatus(id);
    await world.reopen();
    expect(await world.runtime.containerStatus(id)).toEqual(before);
    expect((await world.runtime.podSandboxStatus(sandbox.id)).ip).toBe(sandbox.ip);
    expect((await world.fixture.fetch(world.runtime, sandbox.ip, PORT, "/healthz")).status).toBe(
      200,
    );
    expect((await world.runSandbox("b")).ip).not.toBe(sandbox.ip);
    await world.runtime.stopContainer(id, { gracePeriodMs: 10_000 });
    expect((await world.runtime.containerStatus(id)).exitCode).toBe(143);
  },
);

contract("an end that nobody saw is known after a restart", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id);
  const socketOrAddress = (path: string) =>
    world.fixture.fetch(world.runtime, sandbox.ip, PORT, path);
  await world.close();
  await socketOrAddress("/exit?code=3");
  await world.open();
  expect(await world.ended(id)).toMatchObject({ exitCode: 3, reason: "Error" });
  expect(world.runtime.endpoint(sandbox.ip, PORT)).toBeUndefined();
});

contract("a component serves, survives a restart of the server, and is stopped", async (world) => {
  const image = world.fixture.componentImage;
  if (image === undefined) return;
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id, { image });
  const get = () => world.fixture.fetch(world.runtime, sandbox.ip, PORT, "/");
  expect((await get()).status).toBe(200);
  const before = await world.runtime.containerStatus(id);
  await world.reopen();
  expect(await world.runtime.containerStatus(id)).toEqual(before);
  expect((await get()).status).toBe(200);
  await world.runtime.stopContainer(id, { gracePeriodMs: 10_000 });
  expect(await world.runtime.containerStatus(id)).toMatchObject({ state: "exited", exitCode: 143 });
});

contract("exec, attach and portForward are refused as unsupported or work", async (world) => {
  const sandbox = await world.runSandbox("a");
  const id = await world.start(sandbox.id);
  const streams = { stdin: false, stdout: true, stderr: true, tty: false };
  const command = ["sh", "-c", "exit 5"];
  const exec = await unlessUnsupported(world.runtime.exec(id, { ...streams, command }));
  if (exec !== undefined) expect(await exec.ended).toEqual({ type: "exited", exitCode: 5 });
  exec?.close();
  const ran = await unlessUnsupported(world.runtime.execSync(id, command, { timeoutMs: 5000 }));
  if (ran !== undefined) expect(ran.exitCode).toBe(5);
  const attached = await unlessUnsupported(world.runtime.attach(id, streams));
  attached?.close();
  const stream = await unlessUnsupported(world.runtime.portForward(sandbox.id, PORT));
  stream?.close();
});

/** What a call gave, or nothing from a runtime that says that it cannot do this. */
async function unlessUnsupported<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    expect(error).toMatchObject({ code: "unsupported" });
    return undefined;
  }
}

/** The behaviour that every {@link ContainerRuntime} has, as tests. */
export function describeRuntime(name: string, createFixture: () => Promise<RuntimeFixture>): void {
  describe(`${name} as a ContainerRuntime`, () => {
    let world: ContractWorld;
    beforeEach(async () => {
      world = new ContractWorld(await createFixture());
      await world.open();
    });
    afterEach(() => world.dispose());
    for (const { name: behaviour, run } of CONTRACT) test(behaviour, () => run(world), TIMEOUT_MS);
  });
}
