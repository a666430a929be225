import type { Logger } from "../../lib/index.ts";
import {
  type ByteStream,
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
} from "../runtime.ts";
import type { WasiRuntime } from "../wasi/wasi-runtime.ts";
import { mergeEvents } from "./merge-events.ts";
import { OciPods } from "./oci-pods.ts";

/** A runtime that has something to take up at its start, and to let go of at its end. */
export type RuntimePart = ContainerRuntime & Pick<WasiRuntime, "start" | "shutdown">;

export interface MixedRuntimeOptions {
  readonly wasm: RuntimePart;
  readonly oci: RuntimePart & {
    /** Says why no container can run here, or undefined. Starts nothing. */
    obstacle(): string | undefined;
  };
  /** What is remembered of pods with containers; made when there is the first. */
  readonly directory: string;
  /**
   * Whether the container runtime runs by itself, so that asking it about an image costs nothing;
   * otherwise it is asked only when it ever had a pod.
   */
  readonly asksAlways?: true;
  readonly logger: Logger;
}

type Side = "wasm" | "oci";

/** Short for "the one of the two that has it, and what it has". */
interface Found<T> {
  readonly side: Side;
  readonly value: T;
}

/**
 * One runtime over the WASM runtime and a container runtime. A pod is in one of them; one that has
 * containers of both kinds has its sandbox in the container runtime, and a second one in the WASM
 * runtime that joins its network and is not told of. Nothing here asks the container runtime about
 * a pod that has no part in it.
 */
export function createMixedRuntime(options: MixedRuntimeOptions): RuntimePart {
  return new MixedRuntime(options);
}

class MixedRuntime implements RuntimePart {
  readonly #wasm: RuntimePart;
  readonly #oci: MixedRuntimeOptions["oci"];
  readonly #asksAlways: boolean;
  readonly #ociPods: OciPods;
  readonly #logger: Logger;
  /** The last look at all containers lacked those of the container runtime, and it was said. */
  #isAway = false;

  constructor({ wasm, oci, directory, asksAlways, logger }: MixedRuntimeOptions) {
    this.#logger = logger;
    this.#wasm = wasm;
    this.#oci = oci;
    this.#asksAlways = asksAlways === true;
    this.#ociPods = new OciPods(directory);
  }

  /** The container runtime's as soon as it was used: what other tools look for. */
  get name(): string {
    return this.#main.name;
  }

  get version(): string {
    return this.#main.version;
  }

  get handlers(): readonly string[] {
    const own = this.#wasm.handlers;
    return this.#oci.obstacle() === undefined ? [...own, ...this.#oci.handlers] : own;
  }

  get #main(): ContainerRuntime {
    const isKnown = this.#oci.obstacle() === undefined && this.#oci.version !== "";
    return isKnown ? this.#oci : this.#wasm;
  }

  async start(): Promise<void> {
    await Promise.all([this.#wasm.start(), this.#oci.start()]);
    if (this.#ociPods.isEmpty || this.#oci.obstacle() !== undefined) return;
    try {
      const found = await this.#oci.listPodSandboxes();
      this.#ociPods.keepOnly(new Set(found.map(({ uid }) => uid)));
    } catch (error) {
      this.#logger.warn("pods with containers are not known yet", { error: String(error) });
    }
  }

  shutdown(...options: Parameters<WasiRuntime["shutdown"]>): void {
    this.#wasm.shutdown(...options);
    this.#oci.shutdown();
  }

  async updateRuntimeConfig(config: RuntimeConfig): Promise<void> {
    await Promise.all([
      this.#wasm.updateRuntimeConfig(config),
      this.#oci.updateRuntimeConfig(config),
    ]);
  }

  async runPodSandbox(config: PodSandboxConfig): Promise<PodSandbox> {
    const sides = await this.#sidesOf(config);
    if (!sides.has("oci")) return this.#wasm.runPodSandbox(config);
    const sandbox = await this.#runOci(config);
    if (!sides.has("wasm")) return sandbox;
    const { ip, networkNamespace: namespacePath } = sandbox;
    const network = { ip, ...(namespacePath === undefined ? {} : { namespacePath }) };
    const { handler: _, ...joining } = config;
    try {
      await this.#wasm.runPodSandbox({ ...joining, joins: network });
    } catch (error) {
      await this.#oci.removePodSandbox(sandbox.id);
      throw error;
    }
    return sandbox;
  }

  async stopPodSandbox(sandboxId: string): Promise<void> {
    const found = await this.#findSandbox(sandboxId);
    if (found?.side === "wasm") return this.#wasm.stopPodSandbox(sandboxId);
    const joined = found === undefined ? undefined : await this.#joinedTo(found.value);
    if (joined !== undefined) await this.#wasm.stopPodSandbox(joined.id);
    if (found !== undefined) await this.#oci.stopPodSandbox(sandboxId);
  }

  async removePodSandbox(sandboxId: string): Promise<void> {
    const found = await this.#findSandbox(sandboxId);
    if (found === undefined) return;
    if (found.side === "wasm") return this.#wasm.removePodSandbox(sandboxId);
    const { uid } = found.value;
    // What joined goes first: it is never there without what it joined.
    const joined = await this.#joinedTo(found.value);
    if (joined !== undefined) await this.#wasm.removePodSandbox(joined.id);
    await this.#oci.removePodSandbox(sandboxId);
    await this.#forgetWithout(uid);
  }

  async podSandboxStatus(sandboxId: string): Promise<PodSandbox> {
    const found = await this.#findSandbox(sandboxId);
    if (found === undefined) throw new RuntimeError("not-found", `no pod sandbox ${sandboxId}`);
    return found.value;
  }

  async listPodSandboxes(filter: PodFilter = {}): Promise<readonly PodSandbox[]> {
    const wasm = await this.#wasm.listPodSandboxes(filter);
    const own = wasm.filter(({ uid }) => !this.#ociPods.has(uid));
    return [...own, ...(await this.#ofOci(filter, () => this.#oci.listPodSandboxes(filter)))];
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const found = await this.#findSandbox(sandboxId);
    if (found === undefined) throw new RuntimeError("not-found", `no pod sandbox ${sandboxId}`);
    const { side, value: sandbox } = found;
    const wanted = await this.#sideOfContainer(sandbox, config);
    if (side === "wasm") {
      if (wanted === "wasm") return this.#wasm.createContainer(sandboxId, config);
      const why = `image ${config.image} is a container image, and the pod began without any`;
      throw new RuntimeError("image-unsupported", `${why}: containers cannot join it`);
    }
    if (wanted === "oci") return this.#oci.createContainer(sandboxId, config);
    const joined = await this.#joinedTo(sandbox);
    if (joined !== undefined) return this.#wasm.createContainer(joined.id, config);
    const why = `image ${config.image} is a WASM module, and the pod began without any`;
    throw new RuntimeError("image-unsupported", `${why}: it cannot join it`);
  }

  async startContainer(containerId: string): Promise<void> {
    await (await this.#ownerOf(containerId)).startContainer(containerId);
  }

  async stopContainer(containerId: string, options: StopOptions): Promise<void> {
    await (await this.#ownerOf(containerId)).stopContainer(containerId, options);
  }

  async removeContainer(containerId: string): Promise<void> {
    await (await this.#ownerOf(containerId)).removeContainer(containerId);
  }

  async containerStatus(containerId: string): Promise<ContainerStatus> {
    const owner = await this.#ownerOf(containerId);
    return { ...(await owner.containerStatus(containerId)), runtime: owner.name };
  }

  async listContainers(filter: PodFilter = {}): Promise<readonly ContainerStatus[]> {
    const wasm = await this.#wasm.listContainers(filter);
    const own = wasm.map((one) => ({ ...one, runtime: this.#wasm.name }));
    const oci = await this.#ofOci(filter, () => this.#oci.listContainers(filter));
    return [...own, ...oci.map((one) => ({ ...one, runtime: this.#oci.name }))];
  }

  async containerStats(containerId: string): Promise<ContainerStats | undefined> {
    return (await this.#ownerOf(containerId)).containerStats(containerId);
  }

  events(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    return mergeEvents([this.#wasm.events(signal), this.#oci.events(signal)]);
  }

  async pullImage(reference: string, options: PullOptions): Promise<ImageStatus> {
    const { handler } = options;
    if (this.#sideNamed(handler) === "oci") return this.#oci.pullImage(reference, options);
    const image = await this.#wasm.pullImage(reference, options);
    const isWhole = options.kindOnly === true || image.kind === "wasm" || handler !== undefined;
    return isWhole ? image : this.#oci.pullImage(reference, options);
  }

  async imageStatus(
    reference: string,
    options: Pick<PullOptions, "handler"> = {},
  ): Promise<ImageStatus | undefined> {
    const named = this.#sideNamed(options.handler);
    if (named !== "oci") {
      const image = await this.#wasm.imageStatus(reference);
      if (image?.kind === "wasm" || named === "wasm") return image;
    }
    const asks = this.#asksAlways || this.#ociPods.wasUsed || named === "oci";
    if (!asks || this.#oci.obstacle() !== undefined) return undefined;
    return this.#oci.imageStatus(reference, options);
  }

  /** Of container images only manifests are on the WASM side. */
  async listImages(): Promise<readonly ImageStatus[]> {
    const wasm = (await this.#wasm.listImages()).filter(({ kind }) => kind === "wasm");
    return this.#isAwake ? [...wasm, ...(await this.#oci.listImages())] : wasm;
  }

  async removeImage(reference: string): Promise<void> {
    await this.#wasm.removeImage(reference);
    if (this.#isAwake) await this.#oci.removeImage(reference);
  }

  async imageFsInfo(): Promise<{ readonly usedBytes: number }> {
    const wasm = await this.#wasm.imageFsInfo();
    if (!this.#isAwake) return wasm;
    return { usedBytes: wasm.usedBytes + (await this.#oci.imageFsInfo()).usedBytes };
  }

  async exec(containerId: string, options: ExecOptions): Promise<StreamSession> {
    return (await this.#ownerOf(containerId)).exec(containerId, options);
  }

  async execSync(
    containerId: string,
    command: readonly string[],
    options: ExecSyncOptions,
  ): Promise<ExecResult> {
    return (await this.#ownerOf(containerId)).execSync(containerId, command, options);
  }

  async attach(containerId: string, options: StreamOptions): Promise<StreamSession> {
    return (await this.#ownerOf(containerId)).attach(containerId, options);
  }

  async portForward(sandboxId: string, port: number): Promise<ByteStream> {
    const found = await this.#findSandbox(sandboxId);
    const owner = found?.side === "oci" ? this.#oci : this.#wasm;
    return owner.portForward(sandboxId, port);
  }

  endpoint(ip: string, port: number): string | undefined {
    return this.#wasm.endpoint(ip, port) ?? this.#oci.endpoint(ip, port);
  }

  async #runOci(config: PodSandboxConfig): Promise<PodSandbox> {
    const obstacle = this.#oci.obstacle();
    if (obstacle !== undefined) throw new RuntimeError("unsupported", obstacle);
    this.#ociPods.add(config.uid);
    try {
      return await this.#oci.runPodSandbox(config);
    } catch (error) {
      await this.#forgetWithout(config.uid);
      throw error;
    }
  }

  /** A pod of which nothing came to be has no part in the container runtime. */
  async #forgetWithout(uid: string): Promise<void> {
    try {
      const left = await this.#oci.listPodSandboxes({ podUid: uid });
      if (left.length === 0) this.#ociPods.remove(uid);
    } catch (error) {
      this.#logger.debug("what is left of a pod is not known", { uid, error: String(error) });
    }
  }

  /**
   * What the container runtime has. Of one pod that is all or an error, so that nobody takes its
   * containers for gone; of all pods it is what can be had, so that the others go on.
   */
  async #ofOci<T>({ podUid }: PodFilter, list: () => Promise<readonly T[]>): Promise<readonly T[]> {
    if (podUid !== undefined) return this.#ociPods.has(podUid) ? list() : [];
    if (this.#ociPods.isEmpty) return [];
    try {
      const found = await list();
      this.#isAway = false;
      return found;
    } catch (error) {
      if (!this.#isAway) this.#logger.warn("containers cannot be listed", { error: String(error) });
      this.#isAway = true;
      return [];
    }
  }

  /** Whether asking the container runtime about its images does not begin with starting it. */
  get #isAwake(): boolean {
    const isUsed = this.#asksAlways || !this.#ociPods.isEmpty;
    return isUsed && this.#oci.obstacle() === undefined;
  }

  async #sidesOf(config: PodSandboxConfig): Promise<ReadonlySet<Side>> {
    const { containers = [], handler } = config;
    // Without a word about containers it is a pod of modules, as the WASM runtime knows them.
    if (containers.length === 0 && handler === undefined) return new Set(["wasm"]);
    const named = this.#sideNamed(handler);
    if (named !== undefined) return new Set([named]);
    const sides = new Set<Side>();
    for (const { image, handler: own } of containers) {
      const side = this.#sideNamed(own) ?? (await this.#kindOf(image));
      if (side === undefined) {
        throw new RuntimeError("image-missing", `image ${image} was not pulled to this node`);
      }
      sides.add(side);
    }
    return sides;
  }

  /** Where a container of a sandbox belongs, by now: what is not known stays with its pod. */
  async #sideOfContainer(sandbox: PodSandbox, config: ContainerConfig): Promise<Side> {
    const own = this.#ociPods.has(sandbox.uid) ? "oci" : "wasm";
    return this.#sideNamed(config.handler) ?? (await this.#kindOf(config.image)) ?? own;
  }

  /** What an image is, of what is on this node; a manifest alone tells it too. */
  async #kindOf(image: string): Promise<Side | undefined> {
    const known = await this.#wasm.imageStatus(image);
    return known?.kind ?? (await this.imageStatus(image))?.kind;
  }

  #sideNamed(handler: string | undefined): Side | undefined {
    if (handler === undefined) return undefined;
    return this.#wasm.handlers.includes(handler) ? "wasm" : "oci";
  }

  async #findSandbox(sandboxId: string): Promise<Found<PodSandbox> | undefined> {
    const wasm = await orUndefined(this.#wasm.podSandboxStatus(sandboxId));
    if (wasm !== undefined) return { side: "wasm", value: wasm };
    if (this.#ociPods.isEmpty) return undefined;
    const oci = await orUndefined(this.#oci.podSandboxStatus(sandboxId));
    return oci === undefined ? undefined : { side: "oci", value: oci };
  }

  /** The part of a pod's sandbox that its WASM containers are in. */
  async #joinedTo({ uid, attempt }: PodSandbox): Promise<PodSandbox | undefined> {
    const own = await this.#wasm.listPodSandboxes({ podUid: uid });
    return own.find((one) => one.attempt === attempt);
  }

  /** A container that nobody knows is the WASM runtime's to miss, unless there are others. */
  async #ownerOf(containerId: string): Promise<ContainerRuntime> {
    if (this.#ociPods.isEmpty) return this.#wasm;
    const wasm = await orUndefined(this.#wasm.containerStatus(containerId));
    return wasm === undefined ? this.#oci : this.#wasm;
  }
}

async function orUndefined<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof RuntimeError && error.code === "not-found") return undefined;
    throw error;
  }
}
