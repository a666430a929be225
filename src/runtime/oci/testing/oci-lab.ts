import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../lib/index.ts";
import { eventually } from "../../../lib/testing/eventually.ts";
import { createProcessSpawner, systemClock } from "../../../os/index.ts";
import type { RuntimeFixture } from "../../testing/runtime-contract.ts";
import { findContainerTools, thisMachine } from "../daemon/container-tools.ts";
import { createOciRuntime, type OciRuntime } from "../oci-runtime.ts";
import { createCriStreams } from "../streaming/cri-streaming.ts";
import { BUSYBOX, busyboxImage } from "./busybox-images.ts";
import { LoopbackNetworks } from "./loopback-networks.ts";
import { servePlainRegistry } from "./plain-registry.ts";

const REGISTRY = "registry.test";
const CGROUPS = "/sys/fs/cgroup";

/** Says why containers cannot be tested here; undefined when they can. */
export function containerObstacle(): string | undefined {
  const found = findContainerTools(thisMachine());
  if ("obstacle" in found) return found.obstacle;
  if (!existsSync(BUSYBOX)) return `${BUSYBOX} is missing (busybox-static)`;
  for (const tool of ["ip", "nsenter", "curl"]) {
    if (Bun.which(tool, { PATH: found.tools.path }) === null) return `${tool} is missing`;
  }
  return undefined;
}

/** A containerd of its own with images offline, for all tests of one file. */
export class OciLab {
  readonly root = mkdtempSync(join(tmpdir(), "kubun-oci-"));
  readonly networks = new LoopbackNetworks(join(this.root, "net"));
  readonly cgroupParent = `/kubun-${this.root.slice(-6)}`;
  readonly #registry: ReturnType<typeof servePlainRegistry>;
  #fixtures = 0;

  private constructor(registry: ReturnType<typeof servePlainRegistry>) {
    this.#registry = registry;
  }

  static async open(): Promise<OciLab> {
    const images = [
      busyboxImage(`${REGISTRY}/server:v1`, ["server"]),
      busyboxImage(`${REGISTRY}/busy:v1`, ["sleep", "1000000"]),
    ];
    return new OciLab(servePlainRegistry(await Promise.all(images)));
  }

  async openRuntime(): Promise<OciRuntime> {
    const runtime = createOciRuntime({
      directory: join(this.root, "oci"),
      socketDirectory: this.root,
      networks: this.networks,
      streams: createCriStreams({ clock: systemClock }),
      registries: () => [
        { host: REGISTRY, mirrors: [{ url: this.#registry.url }], mirrorsOnly: true },
      ],
      processes: createProcessSpawner(),
      clock: systemClock,
      logger: silentLogger,
    });
    await runtime.start();
    return runtime;
  }

  /** One test's view: runtimes over the state that all tests of the laboratory share. */
  fixture(): RuntimeFixture {
    const directory = join(this.root, `test-${this.#fixtures++}`);
    return {
      open: async () => {
        const runtime = await this.openRuntime();
        return { runtime, close: async () => runtime.shutdown() };
      },
      serverImage: `${REGISTRY}/server:v1`,
      busyImage: `${REGISTRY}/busy:v1`,
      missingImage: `${REGISTRY}/missing:v1`,
      podConfig: { cgroupParent: this.cgroupParent },
      logPath: (name) => join(directory, "logs", name, "0.log"),
      directory: (name) => {
        const path = join(directory, name);
        mkdirSync(path, { recursive: true });
        return path;
      },
      fetch: (_, ip, port, path) => this.fetch(ip, port, path),
      dispose: async () => undefined,
    };
  }

  /** One request from within the pod's own network. */
  async fetch(ip: string, port: number, path: string): Promise<Response> {
    const url = `http://${ip}:${port}/cgi-bin${path}`;
    const reaching = ["curl", "-s", "-S", "--fail", "--retry", "20", "--retry-connrefused"];
    const patience = ["--retry-delay", "0", "--retry-max-time", "10", "-m", "10"];
    const namespace = `--net=${this.networks.namespaceOf(ip)}`;
    const child = Bun.spawn({
      cmd: ["nsenter", namespace, ...reaching, ...patience, url],
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [body, words] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`${url}: ${words}`);
    return new Response(body);
  }

  /** Ends every pod and the containerd, and takes all files and control groups away. */
  async [Symbol.asyncDispose](): Promise<void> {
    const runtime = await this.openRuntime();
    for (const { id } of await runtime.listPodSandboxes()) await runtime.removePodSandbox(id);
    runtime.shutdown();
    await eventually(() => runtime.daemonPid === undefined);
    await this.#registry.stop();
    this.#removeControlGroups();
    rmSync(this.root, { recursive: true, force: true });
  }

  #removeControlGroups(): void {
    for (const hierarchy of ["", ...readdirSync(CGROUPS)]) {
      const path = join(CGROUPS, hierarchy, this.cgroupParent);
      if (existsSync(path)) rmdirSync(path);
    }
  }
}
