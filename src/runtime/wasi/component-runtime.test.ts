import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../lib/testing/eventually.ts";
import type { ContainerConfig, PodSandbox } from "../runtime.ts";
import type { EgressGate, EgressOptions } from "./component/egress-gate.ts";
import { COMPONENTS } from "./component/testing/translated.ts";
import { WasiFixture } from "./testing/wasi-fixture.ts";
import type { WasiRuntime } from "./wasi-runtime.ts";

/** Remembers which ways out are open. */
class RecordingGate implements EgressGate {
  readonly open = (options: EgressOptions) => {
    this.opened.add(options);
    return { close: () => void this.opened.delete(options) };
  };
  readonly opened = new Set<EgressOptions>();
}

describe("createWasiRuntime with components", () => {
  let fixture: WasiFixture;
  let gate: RecordingGate;
  let runtime: WasiRuntime;
  let close: () => Promise<void>;
  beforeEach(async () => {
    gate = new RecordingGate();
    fixture = new WasiFixture({ egress: gate });
    await open();
  });
  afterEach(async () => {
    for (const { id } of await runtime.listPodSandboxes()) await runtime.removePodSandbox(id);
    await close();
    await fixture.dispose();
  });

  async function open(): Promise<void> {
    ({ runtime, close } = await fixture.open());
  }

  function runSandbox(
    annotations: Record<string, string> = {},
    handler = "wasi",
  ): Promise<PodSandbox> {
    const config = { name: "a", namespace: "shop", uid: "u", attempt: 0, annotations, handler };
    return runtime.runPodSandbox(config);
  }

  async function create(sandboxId: string, changes: Partial<ContainerConfig> = {}) {
    const image = changes.image ?? fixture.componentImage;
    const logPath = fixture.logPath("main");
    mkdirSync(dirname(logPath), { recursive: true });
    await runtime.pullImage(image, { signal: new AbortController().signal });
    return runtime.createContainer(sandboxId, {
      name: "main",
      attempt: 0,
      image,
      env: [],
      mounts: [],
      ports: [{ port: 8080, protocol: "TCP" }],
      logPath,
      ...changes,
    });
  }

  async function refusal(sandboxId: string, changes: Partial<ContainerConfig> = {}) {
    const error = await create(sandboxId, changes).catch((reason: unknown) => reason);
    return error as Error & { code: string };
  }

  async function addComponent(reference: string, bytes: Uint8Array): Promise<void> {
    const modulePath = join(fixture.directory("components"), `${reference}.wasm`);
    await Bun.write(modulePath, bytes);
    const digest = `sha256:${Bun.hash(reference).toString(16).padStart(64, "0")}`;
    fixture.addImage({
      reference,
      digest,
      kind: "wasm",
      modulePath,
      config: {},
      sizeBytes: bytes.length,
    });
  }

  test("createWasiRuntime translates an image when it is pulled, once", async () => {
    const { signal } = new AbortController();
    await runtime.pullImage(fixture.componentImage, { signal });
    const components = join(fixture.root, "state", "components");
    const made = () => readdirSync(components).filter((name) => !name.endsWith(".tmp"));
    await eventually(() => made().length === 1);
    await close();
    await open();
    expect(made()).toHaveLength(1);
    await runtime.removeImage(fixture.componentImage);
    expect(readdirSync(components)).toEqual([]);
  });

  test("createWasiRuntime opens a pod's way out, and again after a restart", async () => {
    const annotation = { "kubun.dev/allowed-outgoing-hosts": "http://store", other: "not kept" };
    const sandbox = await runSandbox(annotation);
    await runtime.startContainer(await create(sandbox.id));
    const expected = {
      pod: { namespace: "shop", name: "a" },
      allowedHosts: [{ scheme: "http", host: "store", port: 80 }],
    };
    expect([...gate.opened]).toMatchObject([expected]);
    const [{ path } = { path: "" }] = gate.opened;
    expect(path.startsWith(join(fixture.root, "s"))).toBe(true);
    await close();
    expect(gate.opened.size).toBe(0);
    await open();
    expect([...gate.opened]).toMatchObject([{ ...expected, path }]);
    await runtime.removePodSandbox(sandbox.id);
    expect(gate.opened.size).toBe(0);
  });

  test("createWasiRuntime opens no way out for a pod that is allowed none", async () => {
    const sandbox = await runSandbox();
    await runtime.startContainer(await create(sandbox.id));
    expect(gate.opened.size).toBe(0);
  });

  test("createWasiRuntime refuses annotations and handlers that make no sense", async () => {
    const wrong = await runSandbox({ "kubun.dev/instances": "many" });
    const why = await refusal(wrong.id);
    expect(why.code).toBe("invalid-config");
    expect(why.message).toContain('kubun.dev/instances: "many"');
    const wagi = await refusal((await runSandbox({}, "wagi")).id);
    expect([wagi.code, wagi.message.includes("RuntimeClass wagi runs modules")]).toEqual([
      "invalid-config",
      true,
    ]);
  });

  test("createWasiRuntime refuses imports that nobody provides, by name", async () => {
    const bytes = Buffer.from(await Bun.file(COMPONENTS.service).arrayBuffer());
    // A name of the same length in the outermost imports.
    const [from, to] = ["wasi:http/types@0.2.12", "acme:door/types@0.2.12"];
    const at = bytes.indexOf(from);
    let changed = bytes;
    for (let index = at; index >= 0; index = changed.indexOf(from, index + 1)) {
      changed = Buffer.from(changed);
      changed.write(to, index);
    }
    await addComponent("strange:v1", changed);
    const why = await refusal((await runSandbox()).id, { image: "strange:v1" });
    expect(why.code).toBe("image-unsupported");
    expect(why.message).toContain("image strange:v1: the component imports interfaces that nobody");
    expect(why.message).toContain(to);
  });

  test("createWasiRuntime runs a component with wasi:cli/run to its end", async () => {
    const bytes = new Uint8Array(await Bun.file(COMPONENTS.command).arrayBuffer());
    await addComponent("job:v1", bytes);
    const sandbox = await runSandbox();
    const id = await create(sandbox.id, { image: "job:v1", args: ["fail"], ports: [] });
    await runtime.startContainer(id);
    const status = await eventually(async () => {
      const found = await runtime.containerStatus(id);
      return found.state === "exited" ? found : undefined;
    });
    expect(status).toMatchObject({ exitCode: 1, reason: "Error" });
    expect(await Bun.file(status.logPath).text()).toContain(" stdout F ran\n");
  });
});
