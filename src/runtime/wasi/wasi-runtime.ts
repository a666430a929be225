import type { ImageStore } from "../../images/index.ts";
import type { CancelTimer, Clock, Logger, Random } from "../../lib/index.ts";
import type { RangePart } from "../address-pool.ts";
import { EventBroadcast } from "../event-broadcast.ts";
import type { ProcessSpawner } from "../process-spawner.ts";
import {
  type ContainerConfig,
  type ContainerEvent,
  type ContainerEventType,
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  type ImageStatus,
  type PodFilter,
  type PodSandbox,
  type PodSandboxConfig,
  type PullOptions,
  type RuntimeConfig,
  RuntimeError,
  type StopOptions,
} from "../runtime.ts";
import { ByPod } from "./by-pod.ts";
import { ComponentRuns, ownAnnotations } from "./component/component-runs.ts";
import type { EgressGate } from "./component/egress-gate.ts";
import type { KeyvalueGate } from "./component/keyvalue-gate.ts";
import { ContainerProcess } from "./container-process.ts";
import { statusOf } from "./container-status.ts";
import { trustDomain } from "./density/trust-domain.ts";
import { WorkerSeats } from "./density/worker-seats.ts";
import {
  asRuntimeError,
  guestArguments,
  guestEnvironment,
  guestPorts,
  imageRefOf,
  imageStatusOf,
} from "./image-status.ts";
import { noLimits, type ProcessLimits, WORKER_OVERHEAD_BYTES } from "./limits/process-limits.ts";
import { type ContainerRecord, type SandboxRecord, StateDirectory } from "./state-directory.ts";
import { noSecondProgram, unsupported } from "./unsupported.ts";
import { WarmPool } from "./warm-pool.ts";
import { WorkerCode, type WorkerCodePlace } from "./worker-code/worker-code.ts";
import { PodAddresses } from "./pod-addresses.ts";
import { forgetWorker, type LaunchOptions, launchWorker } from "./worker-process.ts";
import { EXIT_BLOCKED } from "./worker-protocol.ts";
import { workerSpec } from "./worker-spec.ts";

export interface WasiRuntimeOptions {
  /** Sandboxes, containers and workers as directories; made if missing. */
  readonly stateDirectory: string;
  /** Unix sockets; keep it short, because their paths may have 107 bytes at most. */
  readonly socketDirectory: string;
  readonly images: Pick<ImageStore, "pull" | "get" | "list" | "remove">;
  /** IPv4, for example `127.42.0.0/24`; told later by `updateRuntimeConfig` when absent. */
  readonly podCidr?: string;
  /** Which part of a range its pods get; all of it without one. */
  readonly addresses?: RangePart;
  readonly spawner: ProcessSpawner;
  /** Program and arguments of a worker; the control socket's path is appended. */
  readonly workerCommand: readonly string[];
  /** Where bundles of a worker's sources are kept, and who makes them; without it none is used. */
  readonly workerCode?: WorkerCodePlace;
  /** Program and arguments of the translator; a component's path and a directory are appended. */
  readonly translateCommand?: readonly string[];
  /** The ways out of pods, and to key-value stores; without them components have none. */
  readonly egress?: EgressGate;
  readonly keyvalue?: KeyvalueGate;
  /** Keeps workers within their pods' limits; opened by `start`. Without it nothing does. */
  readonly openLimits?: () => Promise<ProcessLimits>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Workers kept ready. Default {@link DEFAULT_WARM_WORKERS}. */
  readonly warmWorkers?: number;
}

export interface ShutdownOptions {
  /** The pods' ways out are kept until this process ends, while a successor takes their places. */
  readonly gates?: "close" | "keep";
}

export interface WasiRuntime extends ContainerRuntime {
  /** Resolves when what ran before was adopted and orphans are gone. Call it before any verb. */
  start(): Promise<void>;
  /** Lets go of every worker: those with a container run on, warm ones end. */
  shutdown(options?: ShutdownOptions): void;
  /** Workers that wait for a container. */
  readonly warmWorkers: number;
}

export const DEFAULT_WARM_WORKERS = 2;
/** `wasi` runs a module as a program or a component, `wagi` a module once per HTTP request. */
export const WASI_HANDLERS = ["wasi", "wagi"] as const;
const MEMORY_CHECK_INTERVAL_MS = 10_000;

/** The container runtime for WASI modules: one worker process a container. */
export function createWasiRuntime(options: WasiRuntimeOptions): WasiRuntime {
  return new WorkerRuntime(options);
}

class WorkerRuntime implements WasiRuntime {
  readonly name = "wasi";
  readonly version = "0.1.0";
  readonly handlers = WASI_HANDLERS;
  readonly #options: WasiRuntimeOptions;
  readonly #directory: StateDirectory;
  readonly #addresses: PodAddresses;
  readonly #pool: WarmPool;
  #seats: WorkerSeats;
  readonly #events = new EventBroadcast();
  readonly #sandboxes = new ByPod<SandboxRecord>(({ uid }) => uid);
  readonly #containers = new ByPod<ContainerProcess>(({ record }) => record.podUid);
  /** `ip:port` → socket, for running containers. */
  readonly #endpoints = new Map<string, string>();
  readonly #components: ComponentRuns;
  readonly #code: WorkerCode;
  #limits: ProcessLimits = noLimits;
  #memoryCheck: CancelTimer | undefined;

  constructor(options: WasiRuntimeOptions) {
    this.#options = options;
    this.#directory = new StateDirectory(options);
    this.#addresses = new PodAddresses(this.#directory, options.logger, options.addresses);
    if (options.podCidr !== undefined) this.#addresses.use(options.podCidr, []);
    this.#components = new ComponentRuns(this.#directory, options);
    this.#code = new WorkerCode(options);
    this.#pool = new WarmPool({
      size: options.warmWorkers ?? DEFAULT_WARM_WORKERS,
      launch: () => this.#launch(this.#components.expected),
      discard: (worker) => {
        worker.spawned?.discard();
        worker.connection.close();
        forgetWorker(this.#directory, worker.id);
      },
      clock: options.clock,
      logger: options.logger,
    });
    this.#seats = this.#newSeats();
  }

  get warmWorkers(): number {
    return this.#pool.ready;
  }

  async start(): Promise<void> {
    this.#limits = (await this.#options.openLimits?.()) ?? noLimits;
    this.#seats = this.#newSeats();
    for (const sandbox of this.#directory.loadSandboxes()) {
      this.#sandboxes.set(sandbox.id, sandbox);
      this.#addresses.hold(sandbox);
    }
    const records = this.#directory.loadContainers();
    await Promise.all(records.map((record) => this.#adopt(record)));
    this.#sweep();
    this.#sweepComponents();
    await this.#limits.sweep();
    this.#code.start();
    this.#pool.open();
  }

  async updateRuntimeConfig({ podCidr }: RuntimeConfig): Promise<void> {
    this.#addresses.use(podCidr, this.#sandboxes.values());
  }

  shutdown({ gates = "close" }: ShutdownOptions = {}): void {
    this.#memoryCheck?.();
    this.#pool.close();
    this.#code.close();
    if (gates === "close") this.#components.close();
    for (const container of this.#containers.values()) container.abandon();
    this.#seats.close();
    this.#limits.close();
  }

  async runPodSandbox(config: PodSandboxConfig): Promise<PodSandbox> {
    const handler = config.handler ?? WASI_HANDLERS[0];
    if (!WASI_HANDLERS.some((known) => known === handler)) {
      const why = `handler ${handler}: the WASI runtime has ${WASI_HANDLERS.join(", ")}`;
      throw new RuntimeError("unsupported", why);
    }
    const { name, namespace, uid, attempt, serviceAccount, joins } = config;
    const annotations = ownAnnotations(config.annotations);
    const ip = this.#addresses.take(joins);
    const sandbox: SandboxRecord = {
      id: this.#newId(32),
      socketName: this.#newId(4),
      name,
      namespace,
      uid,
      attempt,
      handler,
      ip,
      state: "ready",
      createdAt: this.#options.clock.now(),
      ...(annotations === undefined ? {} : { annotations }),
      ...(serviceAccount === undefined ? {} : { serviceAccount }),
      ...(joins === undefined ? {} : { joins }),
    };
    this.#directory.saveSandbox(sandbox);
    this.#sandboxes.set(sandbox.id, sandbox);
    return sandbox;
  }

  async stopPodSandbox(sandboxId: string): Promise<void> {
    const sandbox = this.#sandboxes.get(sandboxId);
    if (sandbox === undefined) return;
    const stops = this.#containersOf(sandboxId).map((one) => one.stop({ gracePeriodMs: 0 }));
    await Promise.all(stops);
    const stopped: SandboxRecord = { ...sandbox, state: "notready" };
    this.#directory.saveSandbox(stopped);
    this.#sandboxes.set(sandboxId, stopped);
  }

  async removePodSandbox(sandboxId: string): Promise<void> {
    const containers = this.#containersOf(sandboxId);
    await Promise.all(containers.map((one) => this.removeContainer(one.record.id)));
    const sandbox = this.#sandboxes.get(sandboxId);
    if (sandbox === undefined) return;
    this.#sandboxes.delete(sandboxId);
    this.#components.closeGates(sandboxId);
    this.#directory.removeSandbox(sandbox);
    this.#addresses.release(sandbox);
  }

  async podSandboxStatus(sandboxId: string): Promise<PodSandbox> {
    return this.#sandbox(sandboxId);
  }

  async listPodSandboxes({ podUid }: PodFilter = {}): Promise<readonly PodSandbox[]> {
    return podUid === undefined ? [...this.#sandboxes.values()] : this.#sandboxes.ofPod(podUid);
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = this.#sandbox(sandboxId);
    const image = this.#image(config.image);
    if (image === undefined) {
      throw new RuntimeError("image-missing", `image ${config.image} was not pulled to this node`);
    }
    const { modulePath } = image;
    if (modulePath === undefined) {
      const why = `image ${config.image} is a container image: this node runs WASM modules only`;
      throw new RuntimeError("image-unsupported", why);
    }
    const componentDirectory = await this.#components.prepare(sandbox, image, config);
    // The pod may have been removed meanwhile.
    this.#sandbox(sandboxId);
    const record: ContainerRecord = {
      id: this.#newId(32),
      sandboxId,
      podUid: sandbox.uid,
      config: { ...config, ports: guestPorts(image, config, sandbox, this.#containers.values()) },
      imageRef: imageRefOf(image),
      modulePath,
      ...(componentDirectory === undefined ? {} : { componentDirectory }),
      argv: guestArguments(image, config),
      env: guestEnvironment(image, config.env),
      state: "created",
      createdAt: this.#options.clock.now(),
    };
    // The spec is made here too, so that what cannot run is refused before anything starts.
    workerSpec(this.#directory, sandbox, record);
    this.#directory.saveContainer(record);
    this.#containers.set(record.id, this.#process(record));
    this.#publish("created", record);
    return record.id;
  }

  async startContainer(containerId: string): Promise<void> {
    const container = this.#container(containerId);
    const sandbox = this.#sandbox(container.record.sandboxId);
    if (container.record.componentDirectory !== undefined) this.#components.openGates(sandbox);
    const sharing = trustDomain(sandbox, container.record)?.sharing;
    const spec = workerSpec(this.#directory, sandbox, container.record);
    const networkNamespace = sandbox.joins?.namespacePath;
    const launch = () => this.#launch({ networkNamespace });
    await container.start(spec, {
      ...(sharing === undefined ? {} : { sharing }),
      ...(networkNamespace === undefined ? {} : { launch }),
    });
  }

  async stopContainer(containerId: string, options: StopOptions): Promise<void> {
    await this.#containers.get(containerId)?.stop(options);
  }

  async removeContainer(containerId: string): Promise<void> {
    const container = this.#containers.get(containerId);
    if (container === undefined) return;
    await container.stop({ gracePeriodMs: 0 });
    if (!this.#containers.delete(containerId)) return;
    this.#directory.removeContainer(containerId);
    this.#publish("deleted", container.record);
  }

  async containerStatus(containerId: string): Promise<ContainerStatus> {
    return statusOf(this.#container(containerId).record);
  }

  async listContainers({ podUid }: PodFilter = {}): Promise<readonly ContainerStatus[]> {
    const found = podUid === undefined ? this.#containers.values() : this.#containers.ofPod(podUid);
    return Array.from(found, ({ record }) => statusOf(record));
  }

  async containerStats(containerId: string): Promise<ContainerStats | undefined> {
    return this.#container(containerId).stats();
  }

  events(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    return this.#events.subscribe(signal);
  }

  async pullImage(reference: string, { auth, signal }: PullOptions): Promise<ImageStatus> {
    try {
      const options = { signal, ...(auth === undefined ? {} : { auth }) };
      const image = await this.#options.images.pull(reference, options);
      this.#components.pulled(image);
      return imageStatusOf(image);
    } catch (error) {
      throw asRuntimeError(error);
    }
  }

  async imageStatus(reference: string): Promise<ImageStatus | undefined> {
    const image = this.#image(reference);
    return image === undefined ? undefined : imageStatusOf(image);
  }

  async listImages(): Promise<readonly ImageStatus[]> {
    return this.#options.images.list().map(imageStatusOf);
  }

  async removeImage(reference: string): Promise<void> {
    await this.#options.images.remove(reference);
    this.#sweepComponents();
  }

  async imageFsInfo(): Promise<{ usedBytes: number }> {
    const images = this.#options.images.list();
    return { usedBytes: images.reduce((sum, image) => sum + image.sizeBytes, 0) };
  }

  readonly exec = noSecondProgram;
  readonly execSync = noSecondProgram;

  attach(): Promise<never> {
    return unsupported("a WASM container has no standard input; see kubectl logs");
  }

  portForward(): Promise<never> {
    return unsupported("portForward: use the endpoint of the port");
  }

  endpoint(ip: string, port: number): string | undefined {
    return this.#endpoints.get(`${ip}:${port}`);
  }

  async #adopt(record: ContainerRecord): Promise<void> {
    const container = this.#process(record);
    this.#containers.set(record.id, container);
    const sandbox = this.#sandboxes.get(record.sandboxId);
    await container.adopt();
    if (sandbox !== undefined) {
      if (record.componentDirectory !== undefined) this.#components.openGates(sandbox);
      if (container.record.state === "running") this.#publish("started", container.record);
      return;
    }
    this.#options.logger.warn("a container without a sandbox is removed", { id: record.id });
    await this.removeContainer(record.id);
  }

  /** Workers that belong to no container end by themselves; their files go here. */
  #sweep(): void {
    const records = [...this.#containers.values()].map(({ record }) => record);
    const workers = new Set(
      records.flatMap(({ state, worker }) =>
        state === "exited" || worker === undefined ? [] : [worker.id],
      ),
    );
    const sockets = new Set([...this.#sandboxes.values()].map(({ socketName }) => socketName));
    for (const id of this.#directory.workerIds()) {
      if (!workers.has(id)) forgetWorker(this.#directory, id);
    }
    this.#directory.sweepSockets({ workers, sockets });
  }

  #sweepComponents(): void {
    const containers = [...this.#containers.values()];
    this.#components.sweep(containers.map(({ record }) => record.imageRef));
  }

  #process(record: ContainerRecord): ContainerProcess {
    return new ContainerProcess(record, {
      directory: this.#directory,
      seats: this.#seats,
      spawner: this.#options.spawner,
      limits: this.#limits,
      clock: this.#options.clock,
      logger: this.#options.logger,
      onChange: (type, changed) => this.#publish(type, changed),
    });
  }

  #launch(options: LaunchOptions) {
    const started = { ...this.#directoryPlaces(), workerCommand: this.#code.command };
    return launchWorker({ ...this.#options, ...started }, this.#newId(6), options);
  }

  #newSeats(): WorkerSeats {
    const { clock, logger } = this.#options;
    return new WorkerSeats({
      pool: this.#pool,
      launchShared: () => this.#launch({ shared: true }),
      places: this.#directoryPlaces(),
      limits: this.#limits,
      clock,
      logger,
    });
  }

  /** Who kept its neighbours from running does it to none again: its pod shares no more. */
  #part(sandbox: SandboxRecord): void {
    const parted: SandboxRecord = { ...sandbox, blockedOthers: true };
    this.#directory.saveSandbox(parted);
    this.#sandboxes.set(sandbox.id, parted);
  }

  #publish(type: ContainerEventType, record: ContainerRecord): void {
    const sandbox = this.#sandboxes.get(record.sandboxId);
    const blocked = record.worker?.shared !== undefined && record.exitCode === EXIT_BLOCKED;
    if (type === "stopped" && blocked && sandbox !== undefined) this.#part(sandbox);
    for (const { port, protocol } of sandbox === undefined ? [] : record.config.ports) {
      const key = `${sandbox?.ip}:${port}`;
      if (protocol !== "TCP" || sandbox === undefined) continue;
      if (type === "started") this.#endpoints.set(key, this.#directory.portPath(sandbox, port));
      // When an old one is removed, its successor may run already.
      else if (type === "stopped") this.#endpoints.delete(key);
    }
    if (type === "started" && record.config.memoryLimitBytes !== undefined) this.#watchMemory();
    const { id: containerId, sandboxId, podUid } = record;
    this.#events.publish({ type, containerId, sandboxId, podUid });
  }

  /** Looks at resident memory while a container with a limit runs. */
  #watchMemory(): void {
    this.#memoryCheck ??= this.#options.clock.after(MEMORY_CHECK_INTERVAL_MS, () => {
      this.#memoryCheck = undefined;
      let watched = false;
      for (const container of this.#containers.values()) {
        const limit = container.record.config.memoryLimitBytes;
        if (limit === undefined || container.record.state !== "running") continue;
        watched = true;
        const resident = container.usage()?.residentBytes ?? 0;
        if (resident > 2 * limit + WORKER_OVERHEAD_BYTES) container.kill({ outOfMemory: true });
      }
      if (watched) this.#watchMemory();
    });
  }

  #containersOf(sandboxId: string): ContainerProcess[] {
    const uid = this.#sandboxes.get(sandboxId)?.uid;
    const found = uid === undefined ? [...this.#containers.values()] : this.#containers.ofPod(uid);
    return found.filter(({ record }) => record.sandboxId === sandboxId);
  }

  #sandbox(id: string): SandboxRecord {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined) throw new RuntimeError("not-found", `no pod sandbox ${id}`);
    return sandbox;
  }

  #container(id: string): ContainerProcess {
    const container = this.#containers.get(id);
    if (container === undefined) throw new RuntimeError("not-found", `no container ${id}`);
    return container;
  }

  #image(reference: string) {
    try {
      return this.#options.images.get(reference);
    } catch (error) {
      throw asRuntimeError(error);
    }
  }

  #directoryPlaces() {
    const { workersDirectory, controlDirectory } = this.#directory;
    return { workersDirectory, controlDirectory };
  }

  #newId(bytes: number): string {
    return Buffer.from(this.#options.random.bytes(bytes)).toString("hex");
  }
}
