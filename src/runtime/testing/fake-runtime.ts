import { EventBroadcast } from "../event-broadcast.ts";
import {
  type ByteStream,
  type ContainerConfig,
  type ContainerEvent,
  type ContainerEventType,
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  type ExecResult,
  type ImageStatus,
  type PodFilter,
  type PodSandbox,
  type PodSandboxConfig,
  type PullOptions,
  RuntimeError,
  type StreamSession,
} from "../runtime.ts";

interface FakeContainer {
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  status: ContainerStatus;
}

/** A runtime in memory: nothing runs, and what was asked of it can be looked at. */
export class FakeRuntime implements ContainerRuntime {
  readonly name: string;
  readonly version = "1.0";
  readonly handlers: readonly string[];
  /** Images that a pull finds, and those that are here. */
  readonly registry = new Map<string, ImageStatus>();
  readonly images = new Map<string, ImageStatus>();
  readonly sandboxes = new Map<string, { config: PodSandboxConfig; sandbox: PodSandbox }>();
  readonly containers = new Map<string, FakeContainer>();
  /** The verbs that were called, with what they were called for. */
  readonly calls: string[] = [];
  /** What the next call of a verb fails with. */
  readonly failures = new Map<string, Error>();
  /** What programs answer that are run in a container. */
  execAnswer: (command: readonly string[]) => ExecResult | Error = () => ({
    exitCode: 0,
    stdout: new Uint8Array(),
    stderr: new Uint8Array(),
  });
  /** Why it can run nothing. */
  obstacleText: string | undefined;
  readonly #events = new EventBroadcast();
  #count = 0;

  constructor(options: { readonly name: string; readonly handlers: readonly string[] }) {
    this.name = options.name;
    this.handlers = options.handlers;
  }

  async start(): Promise<void> {
    this.calls.push("start");
  }

  shutdown(): void {
    this.calls.push("shutdown");
  }

  obstacle(): string | undefined {
    return this.obstacleText;
  }

  /** An image of a registry, or one that is here. */
  addImage(
    reference: string,
    kind: ImageStatus["kind"],
    where: "registry" | "node" = "registry",
    user?: string,
  ): void {
    const imageRef = `${reference}@sha256:${"0".repeat(64)}`;
    const named = user === undefined ? {} : { user };
    const status = { reference, imageRef, kind, sizeBytes: 1000, ...named };
    this.registry.set(reference, status);
    if (where === "node") this.images.set(reference, status);
  }

  /** A program ends by itself. */
  end(containerId: string, exitCode: number): void {
    const container = this.#container(containerId);
    if (container.status.state !== "running") return;
    const reason = exitCode === 0 ? "Completed" : "Error";
    container.status = { ...container.status, state: "exited", exitCode, reason, finishedAt: 3000 };
    this.#publish("stopped", container);
  }

  async updateRuntimeConfig(): Promise<void> {
    this.#called("updateRuntimeConfig");
  }

  async runPodSandbox(config: PodSandboxConfig): Promise<PodSandbox> {
    this.#called("runPodSandbox", config.name);
    const { name, namespace, uid, attempt, handler = this.handlers[0] ?? "" } = config;
    const ip = config.joins?.ip ?? `10.0.0.${++this.#count}`;
    const sandbox: PodSandbox = {
      id: `${this.name}-sandbox-${this.#count}`,
      name,
      namespace,
      uid,
      attempt,
      handler,
      ip,
      state: "ready",
      createdAt: 1000,
      networkNamespace: `/run/netns/${uid}`,
    };
    this.sandboxes.set(sandbox.id, { config, sandbox });
    return sandbox;
  }

  async stopPodSandbox(sandboxId: string): Promise<void> {
    this.#called("stopPodSandbox", sandboxId);
    const known = this.sandboxes.get(sandboxId);
    if (known === undefined) return;
    for (const [id, one] of this.containers) if (one.sandboxId === sandboxId) this.end(id, 137);
    this.sandboxes.set(sandboxId, { ...known, sandbox: { ...known.sandbox, state: "notready" } });
  }

  async removePodSandbox(sandboxId: string): Promise<void> {
    this.#called("removePodSandbox", sandboxId);
    for (const [id, { sandboxId: own }] of this.containers) {
      if (own === sandboxId) this.containers.delete(id);
    }
    this.sandboxes.delete(sandboxId);
  }

  async podSandboxStatus(sandboxId: string): Promise<PodSandbox> {
    const known = this.sandboxes.get(sandboxId);
    if (known === undefined) throw new RuntimeError("not-found", `no pod sandbox ${sandboxId}`);
    return known.sandbox;
  }

  async listPodSandboxes({ podUid }: PodFilter = {}): Promise<readonly PodSandbox[]> {
    this.#called("listPodSandboxes", podUid);
    const all = [...this.sandboxes.values()].map(({ sandbox }) => sandbox);
    return all.filter(({ uid }) => podUid === undefined || uid === podUid);
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    this.#called("createContainer", config.name);
    const sandbox = await this.podSandboxStatus(sandboxId);
    const image = this.images.get(config.image);
    if (image === undefined) throw new RuntimeError("image-missing", `no image ${config.image}`);
    const id = `${this.name}-container-${++this.#count}`;
    const status: ContainerStatus = {
      id,
      sandboxId,
      podUid: sandbox.uid,
      name: config.name,
      attempt: config.attempt,
      state: "created",
      createdAt: 1000,
      image: config.image,
      imageRef: image.imageRef,
      logPath: config.logPath,
      warnings: [],
      annotations: config.annotations ?? {},
    };
    const container = { sandboxId, config, status };
    this.containers.set(id, container);
    this.#publish("created", container);
    return id;
  }

  async startContainer(containerId: string): Promise<void> {
    this.#called("startContainer", containerId);
    const container = this.#container(containerId);
    container.status = { ...container.status, state: "running", startedAt: 2000 };
    this.#publish("started", container);
  }

  async stopContainer(containerId: string): Promise<void> {
    this.#called("stopContainer", containerId);
    if (this.containers.has(containerId)) this.end(containerId, 143);
  }

  async removeContainer(containerId: string): Promise<void> {
    this.#called("removeContainer", containerId);
    this.containers.delete(containerId);
  }

  async containerStatus(containerId: string): Promise<ContainerStatus> {
    return this.#container(containerId).status;
  }

  async listContainers({ podUid }: PodFilter = {}): Promise<readonly ContainerStatus[]> {
    this.#called("listContainers", podUid);
    const all = [...this.containers.values()].map(({ status }) => status);
    return all.filter((one) => podUid === undefined || one.podUid === podUid);
  }

  async containerStats(containerId: string): Promise<ContainerStats | undefined> {
    this.#container(containerId);
    return { memoryBytes: 1, cpuNanoseconds: 1 };
  }

  events(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    return this.#events.subscribe(signal);
  }

  async pullImage(reference: string, options: PullOptions): Promise<ImageStatus> {
    this.#called(options.kindOnly === true ? "pullKind" : "pullImage", reference);
    const found = this.registry.get(reference);
    if (found === undefined) throw new RuntimeError("image-not-found", `${reference}: not found`);
    this.images.set(reference, found);
    return found;
  }

  async imageStatus(reference: string): Promise<ImageStatus | undefined> {
    this.#called("imageStatus", reference);
    return this.images.get(reference);
  }

  async listImages(): Promise<readonly ImageStatus[]> {
    this.#called("listImages");
    return [...this.images.values()];
  }

  async removeImage(reference: string): Promise<void> {
    this.#called("removeImage", reference);
    this.images.delete(reference);
  }

  async imageFsInfo(): Promise<{ readonly usedBytes: number }> {
    const all = [...this.images.values()];
    return { usedBytes: all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  }

  exec(): Promise<StreamSession> {
    return Promise.reject(new RuntimeError("unsupported", "exec: a fake runs no programs"));
  }

  async execSync(containerId: string, command: readonly string[]): Promise<ExecResult> {
    this.#called("execSync", containerId);
    const answer = this.execAnswer(command);
    if (answer instanceof Error) throw answer;
    return answer;
  }

  attach(): Promise<StreamSession> {
    return Promise.reject(new RuntimeError("unsupported", "attach: a fake has no streams"));
  }

  portForward(): Promise<ByteStream> {
    return Promise.reject(new RuntimeError("unsupported", "portForward: a fake has no network"));
  }

  endpoint(): string | undefined {
    return undefined;
  }

  #called(verb: string, what?: string): void {
    this.calls.push(what === undefined ? verb : `${verb} ${what}`);
    const failure = this.failures.get(verb);
    if (failure !== undefined) throw failure;
  }

  #container(id: string): FakeContainer {
    const container = this.containers.get(id);
    if (container === undefined) throw new RuntimeError("not-found", `no container ${id}`);
    return container;
  }

  #publish(type: ContainerEventType, { status, sandboxId }: FakeContainer): void {
    const { id: containerId, podUid } = status;
    this.#events.publish({ type, containerId, sandboxId, podUid });
  }
}
