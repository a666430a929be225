import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../lib/index.ts";
import type { ContainerConfig, ContainerEvent, PodSandboxConfig } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";
import { FakeRuntime } from "../testing/fake-runtime.ts";
import { createMixedRuntime, type RuntimePart } from "./mixed-runtime.ts";

const { signal } = new AbortController();

describe("MixedRuntime", () => {
  let directory: string;
  let wasm: FakeRuntime;
  let oci: FakeRuntime;
  let mixed: RuntimePart;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-mixed-"));
    wasm = new FakeRuntime({ name: "wasi", handlers: ["wasi", "wagi"] });
    oci = new FakeRuntime({ name: "containerd", handlers: ["runc"] });
    // The WASM side knows the manifests of container images too.
    wasm.addImage("module", "wasm", "node");
    wasm.addImage("box", "oci", "node");
    wasm.addImage("far-box", "oci");
    oci.addImage("box", "oci", "node");
    oci.addImage("far-box", "oci");
    mixed = open();
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function open(): RuntimePart {
    return createMixedRuntime({
      wasm,
      oci,
      directory: join(directory, "pods"),
      logger: silentLogger,
    });
  }

  function pod(name: string, images: readonly string[], more: Partial<PodSandboxConfig> = {}) {
    const containers = images.map((image) => ({ name: image, image }));
    return { name, namespace: "default", uid: `uid-${name}`, attempt: 0, containers, ...more };
  }

  function container(image: string, more: Partial<ContainerConfig> = {}): ContainerConfig {
    const empty = { env: [], mounts: [], ports: [] };
    return { name: image, attempt: 0, image, ...empty, logPath: "/dev/null", ...more };
  }

  function callsOf(runtime: FakeRuntime): string[] {
    return runtime.calls.splice(0);
  }

  test("MixedRuntime asks the container runtime nothing about a pod of modules", async () => {
    const sandbox = await mixed.runPodSandbox(pod("a", ["module"]));
    const id = await mixed.createContainer(sandbox.id, container("module"));
    await mixed.startContainer(id);
    await mixed.listContainers({ podUid: "uid-a" });
    await mixed.listPodSandboxes();
    await mixed.listImages();
    await mixed.imageStatus("unheard-of");
    await mixed.removePodSandbox(sandbox.id);
    expect(callsOf(oci)).toEqual([]);
  });

  test("MixedRuntime runs a pod of containers in the container runtime alone", async () => {
    const sandbox = await mixed.runPodSandbox(pod("a", ["box"]));
    const id = await mixed.createContainer(sandbox.id, container("box"));
    await mixed.startContainer(id);
    expect(wasm.sandboxes.size).toBe(0);
    expect(oci.containers.size).toBe(1);
    expect(await mixed.containerStatus(id)).toMatchObject({ runtime: "containerd" });
    expect(await mixed.listContainers()).toHaveLength(1);
    await mixed.removePodSandbox(sandbox.id);
    expect(await mixed.listPodSandboxes()).toEqual([]);
    callsOf(oci);
    await mixed.listContainers();
    expect(callsOf(oci)).toEqual([]);
  });

  test("MixedRuntime joins the two in a pod of both, which has one sandbox", async () => {
    const sandbox = await mixed.runPodSandbox(pod("a", ["box", "module"], { attempt: 2 }));
    const [joined] = [...wasm.sandboxes.values()];
    const namespacePath = "/run/netns/uid-a";
    expect(joined?.config.joins).toEqual({ ip: sandbox.ip, namespacePath });
    expect(await mixed.listPodSandboxes({ podUid: "uid-a" })).toEqual([sandbox]);
    const box = await mixed.createContainer(sandbox.id, container("box"));
    const module = await mixed.createContainer(sandbox.id, container("module"));
    const found = await mixed.listContainers({ podUid: "uid-a" });
    expect(new Map(found.map(({ id, runtime }) => [id, runtime]))).toEqual(
      new Map([
        [box, "containerd"],
        [module, "wasi"],
      ]),
    );
    await mixed.stopPodSandbox(sandbox.id);
    expect([...wasm.sandboxes.values()][0]?.sandbox.state).toBe("notready");
    await mixed.removePodSandbox(sandbox.id);
    expect([wasm.sandboxes.size, oci.sandboxes.size]).toEqual([0, 0]);
  });

  test("MixedRuntime takes the first sandbox back when the second cannot be made", async () => {
    wasm.failures.set("runPodSandbox", new RuntimeError("exhausted", "no room"));
    const failed = mixed.runPodSandbox(pod("a", ["box", "module"]));
    expect(await failed.catch((error: unknown) => error)).toMatchObject({ code: "exhausted" });
    expect(oci.sandboxes.size).toBe(0);
  });

  test("MixedRuntime: a RuntimeClass comes first, then the container's handler", async () => {
    const byClass = await mixed.runPodSandbox(pod("a", ["box"], { handler: "wasi" }));
    expect(wasm.sandboxes.has(byClass.id)).toBe(true);
    const unknown = [{ name: "x", image: "never-seen", handler: "oci" }];
    const byHandler = await mixed.runPodSandbox(pod("b", [], { containers: unknown }));
    expect(oci.sandboxes.has(byHandler.id)).toBe(true);
  });

  test("MixedRuntime wants an image whose kind nobody knows, and asks for that alone", async () => {
    const early = mixed.runPodSandbox(pod("a", ["far-box"]));
    expect(await early.catch((error: unknown) => error)).toMatchObject({ code: "image-missing" });
    const known = await mixed.pullImage("far-box", { signal, kindOnly: true });
    expect([known.kind, callsOf(oci)]).toEqual(["oci", []]);
    await mixed.runPodSandbox(pod("a", ["far-box"]));
    expect(await mixed.imageStatus("far-box")).toBeUndefined();
    await mixed.pullImage("far-box", { signal });
    expect(await mixed.imageStatus("far-box")).toMatchObject({ kind: "oci" });
  });

  test("MixedRuntime says why no container can run, and remembers nothing of it", async () => {
    oci.obstacleText = "install containerd";
    const refused = mixed.runPodSandbox(pod("a", ["box"]));
    const error = await refused.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "unsupported", message: "install containerd" });
    expect(await mixed.listPodSandboxes({ podUid: "uid-a" })).toEqual([]);
    expect([mixed.name, mixed.handlers]).toEqual(["wasi", ["wasi", "wagi"]]);
    expect(callsOf(oci)).toEqual([]);
  });

  test("MixedRuntime forgets a pod of which nothing came to be", async () => {
    oci.failures.set("runPodSandbox", new Error("no network"));
    await mixed.runPodSandbox(pod("a", ["box"])).catch(() => undefined);
    callsOf(oci);
    await mixed.listContainers();
    expect(callsOf(oci)).toEqual([]);
  });

  test("MixedRuntime finds its pods again, and lets go of those that are gone", async () => {
    const kept = await mixed.runPodSandbox(pod("a", ["box"]));
    const lost = await mixed.runPodSandbox(pod("b", ["box"]));
    oci.sandboxes.delete(lost.id);
    mixed = open();
    await mixed.start();
    expect((await mixed.listPodSandboxes()).map(({ id }) => id)).toEqual([kept.id]);
    callsOf(oci);
    await mixed.listContainers({ podUid: "uid-b" });
    expect(callsOf(oci)).toEqual([]);
  });

  test("MixedRuntime: while containers cannot be listed, modules go on", async () => {
    await mixed.runPodSandbox(pod("a", ["box"]));
    const sandbox = await mixed.runPodSandbox(pod("b", ["module"]));
    await mixed.createContainer(sandbox.id, container("module"));
    oci.failures.set("listContainers", new Error("connection refused"));
    expect(await mixed.listContainers()).toHaveLength(1);
    const one = mixed.listContainers({ podUid: "uid-a" });
    expect(await one.catch((error: unknown) => String(error))).toContain("connection refused");
  });

  test("MixedRuntime refuses a container of a kind its pod began without", async () => {
    const modules = await mixed.runPodSandbox(pod("a", ["module"]));
    const late = mixed.createContainer(modules.id, container("box"));
    const error = await late.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "image-unsupported" });
    const boxes = await mixed.runPodSandbox(pod("b", ["box"]));
    const module = mixed.createContainer(boxes.id, container("module"));
    expect(await module.catch((reason: unknown) => reason)).toMatchObject({
      code: "image-unsupported",
    });
  });

  test("MixedRuntime tells the events of both", async () => {
    const abort = new AbortController();
    const events = mixed.events(abort.signal);
    const [a, b] = [
      await mixed.runPodSandbox(pod("a", ["box"])),
      await mixed.runPodSandbox(pod("b", ["module"])),
    ];
    await mixed.createContainer(a.id, container("box"));
    await mixed.createContainer(b.id, container("module"));
    const seen: ContainerEvent[] = [];
    for await (const event of events) if (seen.push(event) === 2) break;
    expect(new Set(seen.map(({ podUid }) => podUid))).toEqual(new Set(["uid-a", "uid-b"]));
    abort.abort();
  });
});
