import { join } from "node:path";
import type { Clock, Logger } from "../../lib/index.ts";
import type { ProcessSpawner } from "../process-spawner.ts";
import {
  type ContainerConfig,
  type ContainerEvent,
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  type ExecOptions,
  type ExecResult,
  type ExecSyncOptions,
  type ImageStatus,
  type PodFilter,
  type PodSandbox,
  type PodSandboxConfig,
  type PullOptions,
  type RuntimeConfig,
  RuntimeError,
  type StopOptions,
  type StreamOptions,
  type StreamSession,
  type ByteStream,
} from "../runtime.ts";
import { ContainerWatch } from "./container-watch.ts";
import type { CriClient } from "./cri/cri-client.ts";
import { asRuntimeError, CriError } from "./cri/cri-error.ts";
import { RUNTIME } from "./cri/methods.ts";
import type { CriStreams } from "./cri-streams.ts";
import { type ContainerTools, findContainerTools, thisMachine } from "./daemon/container-tools.ts";
import { CriConnection } from "./daemon/cri-connection.ts";
import { HostsFiles } from "./daemon/hosts-files.ts";
import { OwnContainerd } from "./daemon/own-containerd.ts";
import { pauseArchitecture } from "./daemon/pause-program.ts";
import { rotateLog, trimRotated } from "./log-rotation.ts";
import { OciContainers } from "./oci-containers.ts";
import { OciImages } from "./oci-images.ts";
import { asPodSandbox, OciSandboxes } from "./oci-sandboxes.ts";
import type { PodNetworks } from "./pod-networks.ts";
import type { RegistryRoute } from "./registry-routes.ts";
import { refuseUnsupported } from "./sandbox-request.ts";

export interface OciRuntimeOptions {
  /** Images and snapshots of our own containerd, its configuration and log; made if missing. */
  readonly directory: string;
  /** Its socket; keep it short, because such paths may have 107 bytes at most. */
  readonly socketDirectory: string;
  /** `unix:///…` of a CRI that runs already; without it we start a containerd of our own. */
  readonly endpoint?: string;
  readonly networks: PodNetworks;
  readonly streams: CriStreams;
  /** Which registries are asked elsewhere than where their name says; asked for at each pull. */
  readonly registries?: () => readonly RegistryRoute[];
  /** Knows our containerd again, and ends it. */
  readonly processes: Pick<ProcessSpawner, "identify" | "isAlive" | "kill">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Containers behind the CRI. Nothing is started, read or connected before the first verb that needs
 * it; every verb does so by itself.
 */
export interface OciRuntime extends ContainerRuntime {
  /**
   * Adopts what an earlier server left: when there is a containerd of ours with pods, it is
   * started if it does not run, and its pods are listed; when there is none, nothing happens.
   * Call it before any verb. Failures are logged, and met again by the verbs.
   */
  start(): Promise<void>;
  /** Says why no container can run here, or undefined. Starts nothing. */
  obstacle(): string | undefined;
  /** Lets go: containerd and the pods run on. A containerd of ours without any pod ends. */
  shutdown(): void;
  /** Our own containerd, while it runs. */
  readonly daemonPid: number | undefined;
}

const SOCKET_FILE = "containerd.sock";
const UNIX_SCHEME = "unix://";
const EXEC_PATIENCE_MS = 10_000;
const CALL_TIMEOUT_MS = 30_000;

/** Where a containerd of ours keeps the network namespaces of its pods, and nothing else. */
export function containerNamespaceDirectory(directory: string): string {
  return join(directory, "state", "io.containerd.grpc.v1.cri", "netns");
}

/** The container runtime for OCI images, over the CRI of a containerd. */
export function createOciRuntime(options: OciRuntimeOptions): OciRuntime {
  return new CriRuntime(options);
}

class CriRuntime implements OciRuntime {
  readonly name = "containerd";
  readonly handlers = ["runc"] as const;
  readonly #options: OciRuntimeOptions;
  readonly #connection: CriConnection;
  readonly #containerd: OwnContainerd | undefined;
  readonly #hosts: HostsFiles;
  readonly #sandboxes: OciSandboxes;
  readonly #containers: OciContainers;
  readonly #images: OciImages;
  readonly #watch: ContainerWatch;
  #version = "";
  readonly #isRotating = new Set<string>();

  constructor(options: OciRuntimeOptions) {
    const { directory, endpoint, networks, clock, logger } = options;
    this.#options = options;
    this.#hosts = new HostsFiles(join(directory, "certs.d"));
    this.#containerd = endpoint === undefined ? this.#ownContainerd() : undefined;
    this.#connection = this.#newConnection();
    const client = () => this.#client();
    this.#images = new OciImages(client);
    this.#containers = new OciContainers(client);
    this.#sandboxes = new OciSandboxes({
      client,
      ...(endpoint === undefined ? { networks } : {}),
      defaultHandler: this.handlers[0],
      clock,
      logger,
    });
    this.#watch = new ContainerWatch({
      list: () => this.#containers.list(),
      onRunning: (container) => this.#rotateLog(container),
      clock,
      logger,
    });
  }

  get version(): string {
    return this.#version;
  }

  get daemonPid(): number | undefined {
    return this.#containerd?.pid;
  }

  obstacle(): string | undefined {
    if (this.#options.endpoint !== undefined) return undefined;
    const found = findContainerTools(thisMachine());
    return "obstacle" in found ? found.obstacle : undefined;
  }

  async start(): Promise<void> {
    const { endpoint, logger } = this.#options;
    if (endpoint === undefined && this.#containerd?.wasUsed !== true) return;
    if (this.obstacle() !== undefined) return;
    try {
      await this.#connection.connected();
      this.#watch.adopt(await this.#containers.list());
      await this.#sandboxes.reconcile();
    } catch (error) {
      logger.error("the container runtime does not answer", { error });
    }
  }

  shutdown(): void {
    const isIdle = this.#connection.isUsed && this.#containerd?.hasTasks === false;
    this.#watch.close();
    this.#connection.close();
    if (isIdle) this.#containerd?.end({ forgotten: this.#sandboxes.isEmpty });
  }

  async updateRuntimeConfig(config: RuntimeConfig): Promise<void> {
    this.#options.networks.updateRange(config);
    if (this.#connection.isUsed) await this.#sandboxes.reconcile();
  }

  async runPodSandbox(config: PodSandboxConfig): Promise<PodSandbox> {
    refuseUnsupported(config, this.handlers);
    return this.#sandboxes.run(config);
  }

  async stopPodSandbox(sandboxId: string): Promise<void> {
    await this.#sandboxes.stop(sandboxId);
    for (const container of await this.#containersOf(sandboxId)) {
      if (container.state === "exited") this.#watch.tell("stopped", container);
    }
  }

  async removePodSandbox(sandboxId: string): Promise<void> {
    const containers = await this.#containersOf(sandboxId);
    await this.#sandboxes.remove(sandboxId);
    for (const container of containers) this.#watch.tell("deleted", container);
  }

  async podSandboxStatus(sandboxId: string): Promise<PodSandbox> {
    return asPodSandbox(await this.#sandboxes.get(sandboxId));
  }

  async listPodSandboxes(filter?: PodFilter): Promise<readonly PodSandbox[]> {
    return (await this.#sandboxes.list(filter)).map(asPodSandbox);
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = await this.#sandboxes.configOf(sandboxId);
    const id = await this.#containers.create(sandboxId, config, sandbox);
    this.#watch.tell("created", { id, sandboxId, podUid: sandbox.uid });
    return id;
  }

  async startContainer(containerId: string): Promise<void> {
    await this.#containers.start(containerId);
    this.#watch.tell("started", await this.#containers.status(containerId));
  }

  async stopContainer(containerId: string, options: StopOptions): Promise<void> {
    await this.#containers.stop(containerId, options);
    const container = await this.#containers.find(containerId);
    if (container?.state === "exited") this.#watch.tell("stopped", container);
  }

  async removeContainer(containerId: string): Promise<void> {
    const container = await this.#containers.find(containerId);
    if (container === undefined) return;
    await this.#containers.remove(containerId);
    this.#watch.tell("deleted", container);
  }

  containerStatus(containerId: string): Promise<ContainerStatus> {
    return this.#containers.status(containerId);
  }

  listContainers(filter?: PodFilter): Promise<readonly ContainerStatus[]> {
    return this.#containers.list(filter);
  }

  containerStats(containerId: string): Promise<ContainerStats | undefined> {
    return this.#containers.stats(containerId);
  }

  events(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    return this.#watch.subscribe(signal);
  }

  pullImage(reference: string, options: PullOptions): Promise<ImageStatus> {
    this.#hosts.write(this.#options.registries?.() ?? []);
    return this.#images.pull(reference, options);
  }

  imageStatus(reference: string): Promise<ImageStatus | undefined> {
    return this.#images.status(reference);
  }

  listImages(): Promise<readonly ImageStatus[]> {
    return this.#images.list();
  }

  removeImage(reference: string): Promise<void> {
    return this.#images.remove(reference);
  }

  async imageFsInfo(): Promise<{ readonly usedBytes: number }> {
    return { usedBytes: await this.#images.usedBytes() };
  }

  async exec(containerId: string, options: ExecOptions): Promise<StreamSession> {
    const { command, tty, stdin, stdout, stderr } = options;
    const client = await this.#client();
    const request = { containerId, cmd: command, tty, stdin, stdout, stderr: stderr && !tty };
    const { url } = await client
      .call(RUNTIME.exec, request, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(rethrowNotFound);
    return this.#options.streams.exec(url, options, containerId);
  }

  async execSync(
    containerId: string,
    command: readonly string[],
    { timeoutMs }: ExecSyncOptions,
  ): Promise<ExecResult> {
    const client = await this.#client();
    const timeout = Math.max(1, Math.ceil(timeoutMs / 1000));
    const request = { containerId, cmd: command, timeout };
    return client
      .call(RUNTIME.execSync, request, { timeoutMs: timeoutMs + EXEC_PATIENCE_MS })
      .catch(rethrowNotFound);
  }

  async attach(containerId: string, options: StreamOptions): Promise<StreamSession> {
    const { stdin, stdout, stderr, tty } = options;
    const client = await this.#client();
    const request = { containerId, stdin, tty, stdout, stderr: stderr && !tty };
    const { url } = await client
      .call(RUNTIME.attach, request, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(rethrowNotFound);
    return this.#options.streams.attach(url, options);
  }

  async portForward(sandboxId: string, port: number): Promise<ByteStream> {
    const client = await this.#client();
    const request = { podSandboxId: sandboxId, port: [port] };
    const { url } = await client
      .call(RUNTIME.portForward, request, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(rethrowNotFound);
    return this.#options.streams.portForward(url, port);
  }

  endpoint(): undefined {
    return undefined;
  }

  /** A client whose failures tell the connection when nobody is there any more. */
  async #client(): Promise<CriClient> {
    const obstacle = this.obstacle();
    if (obstacle !== undefined) throw new RuntimeError("unsupported", obstacle);
    const { client, version } = await this.#connection.connected();
    this.#version = version;
    return {
      ...client,
      call: (method, request, options) =>
        client.call(method, request, options).catch((error: unknown) => {
          if (error instanceof CriError && error.isUnavailable) this.#connection.lost();
          throw error;
        }),
    };
  }

  #tools(): ContainerTools {
    const found = findContainerTools(thisMachine());
    if ("obstacle" in found) throw new RuntimeError("unsupported", found.obstacle);
    return found.tools;
  }

  #ownContainerd(): OwnContainerd {
    const { directory, socketDirectory, networks, processes, clock, logger } = this.#options;
    return new OwnContainerd({
      directory,
      places: {
        root: join(directory, "root"),
        state: join(directory, "state"),
        runcRoot: join(directory, "runc"),
        socketPath: join(socketDirectory, SOCKET_FILE),
        cniPluginDirectory: networks.pluginDirectory,
        cniConfigDirectory: networks.configDirectory,
        registryDirectory: join(directory, "certs.d"),
      },
      tools: () => this.#tools(),
      processes,
      clock,
      logger,
    });
  }

  #newConnection(): CriConnection {
    const { directory, socketDirectory, endpoint, networks, clock, logger } = this.#options;
    const containerd = this.#containerd;
    const architecture = pauseArchitecture(process.arch) ?? "amd64";
    return new CriConnection({
      socketPath: endpoint?.replace(UNIX_SCHEME, "") ?? join(socketDirectory, SOCKET_FILE),
      ...(containerd === undefined
        ? {}
        : {
            own: {
              containerd,
              directory,
              tools: () => this.#tools(),
              architecture,
              prepare: () => networks.open(),
            },
          }),
      onReady: async (client) => {
        this.#watch.listen(client);
        // Not waited for, because a list itself waits until the server is ready.
        this.#sandboxes.list().catch((error: unknown) => {
          logger.warn("the pods of the container runtime could not be listed", { error });
        });
      },
      clock,
      logger,
    });
  }

  async #containersOf(sandboxId: string): Promise<readonly ContainerStatus[]> {
    const found = await this.#containers.list();
    return found.filter((container) => container.sandboxId === sandboxId);
  }

  #rotateLog({ id, logPath }: ContainerStatus): void {
    if (this.#isRotating.has(id) || !rotateLog(logPath)) return;
    this.#isRotating.add(id);
    this.#containers
      .reopenLog(id)
      .catch((error: unknown) => {
        this.#options.logger.warn("a log could not be opened again", { id, error });
      })
      .finally(() => {
        trimRotated(logPath);
        this.#isRotating.delete(id);
      })
      // A log that cannot be cut short is tried again with the next rotation.
      .catch((error: unknown) => this.#options.logger.warn("a log could not be cut", { error }));
  }
}

/** Of a program in a container: what is not there, does not run, or took too long. */
function rethrowNotFound(error: unknown): never {
  throw asRuntimeError(error, "not-found");
}
