import type {
  ContainerConfig,
  ContainerEvent,
  ContainerRuntime,
  ContainerStatus,
  ImageStatus,
  PodSandbox,
} from "../../src/runtime/index.ts";

const IMAGE: ImageStatus = {
  reference: "hollow:v1",
  imageRef: "hollow@sha256:00",
  kind: "wasm",
  sizeBytes: 1,
};

/** A runtime whose containers run at once and do nothing: what is left is the control plane. */
export class HollowRuntime implements Partial<ContainerRuntime> {
  readonly name = "hollow";
  readonly version = "1";
  readonly handlers = ["wasi"];
  readonly #sandboxes = new Map<string, PodSandbox>();
  readonly #containers = new Map<string, ContainerStatus>();
  #count = 0;

  async updateRuntimeConfig(): Promise<void> {}

  async runPodSandbox(config: Parameters<ContainerRuntime["runPodSandbox"]>[0]) {
    const number = this.#count++;
    const sandbox: PodSandbox = {
      ...config,
      id: `s${number}`,
      handler: "wasi",
      state: "ready",
      ip: `10.42.${number >> 8}.${number & 255}`,
      createdAt: Date.now(),
    };
    this.#sandboxes.set(config.uid, sandbox);
    return sandbox;
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = [...this.#sandboxes.values()].findLast(({ id }) => id === sandboxId);
    const { name, attempt, image, logPath, annotations = {} } = config;
    this.#containers.set(sandbox?.uid ?? "", {
      id: `c-${sandboxId}`,
      sandboxId,
      podUid: sandbox?.uid ?? "",
      name,
      attempt,
      state: "running",
      createdAt: Date.now(),
      startedAt: Date.now(),
      image,
      imageRef: IMAGE.imageRef,
      logPath,
      warnings: [],
      annotations,
    });
    return sandbox?.uid ?? "";
  }

  async startContainer(): Promise<void> {}
  async stopContainer(): Promise<void> {}
  async containerStats(): Promise<undefined> {}

  async removeContainer(id: string): Promise<void> {
    for (const [uid, one] of this.#containers) if (one.id === id) this.#containers.delete(uid);
  }

  async removePodSandbox(id: string): Promise<void> {
    for (const [uid, one] of this.#sandboxes) {
      if (one.id !== id) continue;
      this.#sandboxes.delete(uid);
      this.#containers.delete(uid);
    }
  }

  async containerStatus(id: string): Promise<ContainerStatus> {
    const found = this.#containers.get(id);
    if (found === undefined) throw new Error(`no container ${id}`);
    return found;
  }

  async listPodSandboxes({ podUid }: { podUid?: string } = {}) {
    return podUid === undefined ? [...this.#sandboxes.values()] : this.#of(this.#sandboxes, podUid);
  }

  async listContainers({ podUid }: { podUid?: string } = {}) {
    return podUid === undefined
      ? [...this.#containers.values()]
      : this.#of(this.#containers, podUid);
  }

  #of<T>(map: ReadonlyMap<string, T>, podUid: string): T[] {
    const found = map.get(podUid);
    return found === undefined ? [] : [found];
  }

  async *events(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    yield* [];
  }

  async imageStatus() {
    return IMAGE;
  }

  async listImages() {
    return [IMAGE];
  }

  endpoint(): undefined {}
}
