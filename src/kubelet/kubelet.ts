import type { Hono } from "hono";
import type { Pod, RuntimeClass, Service } from "../api/index.ts";
import { jsonEquals, parseRfc3339 } from "../apimachinery/index.ts";
import {
  type Client,
  createEventRecorder,
  createInformer,
  type Informer,
  PODS,
  RUNTIME_CLASSES,
  SERVICES,
} from "../client/index.ts";
import { sleep } from "../lib/index.ts";
import { refuseAdmission, type Refusal, requestsOf } from "./admission.ts";
import { ContainerStarter, podLogDirectory } from "./container-starter.ts";
import { diskUsage } from "./disk-usage.ts";
import { createHttpApi } from "./http-api.ts";
import { ImagePuller } from "./image-puller.ts";
import type { KubeletOptions } from "./kubelet-options.ts";
import { EVICTED } from "./local-storage-eviction.ts";
import { LocalStorageWatch } from "./local-storage-watch.ts";
import { NodeRegistration } from "./node-registration.ts";
import { isTerminal } from "./pod-actions.ts";
import { PodEvents } from "./pod-events.ts";
import { PodProbes } from "./pod-probes.ts";
import { PodSync } from "./pod-sync.ts";
import { PodTermination } from "./pod-termination.ts";
import { PodVolumes } from "./pod-volumes.ts";
import { type PodMemory, PodWorker } from "./pod-worker.ts";
import { ReferenceCache } from "./reference-cache.ts";
import { ResourceUsage } from "./resource-usage.ts";
import { DEFAULT_DOMAIN } from "./sandbox-config.ts";
import { SandboxStarter } from "./sandbox-starter.ts";
import { ServiceAccountPodTokens } from "./service-account-token.ts";
import { StatusWriter } from "./status-writer.ts";

export interface Kubelet {
  /** GET /containerLogs/{namespace}/{pod}/{container}, /stats/summary, /metrics, /pods … */
  readonly app: Hono;
  /**
   * Resolves when the node is registered and the first sync of its pods began; it is ready then,
   * unless pods have to end first.
   */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when every pod worker rests: nothing more is written after an abort. */
  drained(): Promise<void>;
  /** Ends every pod of this node without touching its API objects (Ctrl-C of `kubun up`). */
  terminateAll(): Promise<void>;
}

/** The node agent: makes the pods bound to this node run, and tells the API server how they are. */
export function createKubelet(options: KubeletOptions): Kubelet {
  return new NodeAgent(options);
}

/** Containers that run without telling anything are looked at this often. */
const RELIST_INTERVAL_MS = 60_000;
/** How long {@link Kubelet.terminateAll} lets programs end by themselves. */
const TERMINATE_ALL_GRACE_MS = 3000;
/** How long pods that were deleted while the node was cut off may keep it from being ready. */
const SETTLE_LIMIT_MS = 30_000;
const SETTLE_POLL_MS = 50;
/** For a pod whose grace period passed while nobody could tell it. */
const OVERDUE_GRACE_MS = 1000;

class NodeAgent implements Kubelet {
  readonly app: Hono;
  readonly #options: KubeletOptions;
  readonly #closing = new AbortController();
  readonly #pods: Informer<Pod>;
  readonly #services: Informer<Service>;
  readonly #runtimeClasses: Informer<RuntimeClass>;
  readonly #workers = new Map<string, PodWorker>();
  readonly #finishing = new Set<Promise<void>>();
  readonly #events: PodEvents;
  readonly #volumes: PodVolumes;
  readonly #references: ReferenceCache;
  readonly #tokens: ServiceAccountPodTokens;
  readonly #statuses: StatusWriter;
  readonly #puller: ImagePuller;
  readonly #sync: PodSync;
  readonly #usage: ResourceUsage;
  /** Pods known to be gone that the cache, which is behind, may still tell of. */
  readonly #buried = new Set<string>();
  /** Container id → state at the last relist. */
  #listed = new Map<string, string>();

  constructor(options: KubeletOptions) {
    const { client, runtime, clock, random, logger, nodeName } = options;
    this.#options = options;
    const informed = { clock, random, logger };
    const fieldSelector = `spec.nodeName=${nodeName}`;
    this.#pods = createInformer(client, PODS, { ...informed, fieldSelector });
    this.#services = createInformer(client, SERVICES, informed);
    this.#runtimeClasses = createInformer(client, RUNTIME_CLASSES, informed);
    const source = { component: "kubelet", host: nodeName };
    this.#events = new PodEvents(createEventRecorder({ client, ...informed, ...source }));
    this.#volumes = new PodVolumes(options.rootDirectory, options.memoryDirectory);
    this.#statuses = new StatusWriter({ client, clock, logger });
    this.#references = new ReferenceCache({
      client,
      ...informed,
      onChange: (uids) => this.#referencesChanged(uids),
    });
    this.#tokens = new ServiceAccountPodTokens({ client, clock, logger });
    this.#puller = new ImagePuller({ runtime, clock, events: this.#events });
    this.#sync = this.#createSync();
    this.#usage = new ResourceUsage({ runtime, clock, logger });
    this.app = createHttpApi({
      runtime,
      clock,
      nodeName,
      usage: this.#usage,
      pods: () => this.#pods.lister.list(),
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    const closing = this.#closing.signal;
    signal.addEventListener("abort", () => this.#closing.abort(), { once: true });
    closing.addEventListener("abort", () => this.#close(), { once: true });
    if (signal.aborted) return this.#closing.abort();
    for (const informer of [this.#pods, this.#services, this.#runtimeClasses]) {
      informer.start(closing);
    }
    const registration = new NodeRegistration(this.#options, (until) => this.#settle(until));
    await Promise.all([
      registration.register(closing),
      this.#pods.synced(),
      this.#services.synced(),
      this.#runtimeClasses.synced(),
    ]);
    if (closing.aborted) return;
    void this.#followRuntime(closing);
    void this.#relistForever(closing);
    this.#usage
      .run(closing)
      .catch((error: unknown) =>
        this.#options.logger.warn("usage is not measured any more", { error: String(error) }),
      );
    void this.#localStorageWatch().run(closing);
    void this.#tokens.run(
      closing,
      () => [...this.#workers.values()].map(({ memory }) => memory.pod),
      (uids) => this.#referencesChanged(uids),
    );
    await this.#removeOrphans(this.#pods.lister.list());
    this.#pods.addHandler({
      onAdd: (pod) => this.#update(pod),
      onUpdate: (_, pod) => this.#update(pod),
      onDelete: (pod) => {
        this.#buried.delete(pod.metadata.uid ?? "");
        this.#gone(pod);
      },
    });
    const told = registration.tellReady(closing);
    void told.then(() => registration.run(closing));
    const isEnding = ({ metadata }: Pod): boolean => metadata.deletionTimestamp !== undefined;
    if (!this.#pods.lister.list().some(isEnding)) await told;
  }

  async drained(): Promise<void> {
    await Promise.all(this.#finishing);
  }

  async terminateAll(): Promise<void> {
    this.#closing.abort();
    await this.drained();
    const { runtime } = this.#options;
    const containers = await runtime.listContainers();
    const options = { gracePeriodMs: TERMINATE_ALL_GRACE_MS };
    await Promise.all(containers.map(({ id }) => runtime.stopContainer(id, options)));
  }

  #close(): void {
    for (const worker of this.#workers.values()) this.#finishing.add(worker.close());
    this.#references.close();
    this.#finishing.add(this.#statuses.close());
  }

  /**
   * While the node was cut off its pods may have been deleted and replaced elsewhere. They end
   * before the node counts as ready again: the cache, which may be behind, is not asked.
   */
  async #settle(signal: AbortSignal): Promise<void> {
    const { client, clock, logger } = this.#options;
    const before = new Set(this.#workers.keys());
    const pods = await this.#listPods(client);
    const current = new Map(pods.map((pod) => [pod.metadata.uid ?? "", pod]));
    const ending: string[] = [];
    for (const [uid, { memory }] of this.#workers) {
      const pod = current.get(uid);
      // A pod that came while the list was on its way is missing in it, and is not gone.
      const stays =
        pod === undefined ? !before.has(uid) : pod.metadata.deletionTimestamp === undefined;
      if (stays) continue;
      ending.push(uid);
      if (pod === undefined) {
        this.#buried.add(uid);
        this.#gone(memory.pod);
      } else {
        this.#update(pod);
        if (isOverdue(pod, clock.now())) void this.#hurry(uid, OVERDUE_GRACE_MS);
      }
    }
    await this.#removeOrphans(pods);
    if (ending.length > 0) logger.info("pods that were deleted meanwhile end", { uids: ending });
    const untilMs = clock.monotonic() + SETTLE_LIMIT_MS;
    while (!signal.aborted && clock.monotonic() < untilMs && (await this.#runAnyOf(ending))) {
      await sleep(clock, SETTLE_POLL_MS, signal);
    }
  }

  async #listPods(client: Client): Promise<readonly Pod[]> {
    const fieldSelector = `spec.nodeName=${this.#options.nodeName}`;
    return (await client.resource(PODS).list({ fieldSelector })).items;
  }

  async #runAnyOf(uids: readonly string[]): Promise<boolean> {
    if (uids.length === 0) return false;
    const containers = await this.#options.runtime.listContainers();
    return containers.some(({ podUid, state }) => state === "running" && uids.includes(podUid));
  }

  #update(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    if (this.#buried.has(uid)) return;
    const worker = this.#workers.get(uid);
    if (worker === undefined) return this.#begin(pod);
    const before = worker.memory.pod;
    // A deletion is never taken back: this state is older than what was seen before.
    const stale = before.metadata.deletionTimestamp !== undefined;
    if (stale && pod.metadata.deletionTimestamp === undefined) return;
    worker.memory.pod = pod;
    // Files of the downward API show them.
    const { labels, annotations } = before.metadata;
    const same =
      jsonEquals(labels, pod.metadata.labels) && jsonEquals(annotations, pod.metadata.annotations);
    if (!same) worker.memory.referencesChanged = true;
    if (pod.metadata.deletionTimestamp !== undefined) {
      worker.memory.interruption.abort();
      const grace = pod.metadata.deletionGracePeriodSeconds ?? 0;
      const shorter = grace < (before.metadata.deletionGracePeriodSeconds ?? 0);
      if (shorter) void this.#hurry(uid, grace * 1000);
    }
    worker.poke();
  }

  #gone(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const worker = this.#workers.get(uid);
    if (worker === undefined) return;
    worker.memory.gone = true;
    worker.memory.interruption.abort();
    void this.#hurry(uid, 0);
    worker.poke();
  }

  /** The pod is to end sooner than the stop under way allows. */
  async #hurry(uid: string, gracePeriodMs: number): Promise<void> {
    const { runtime, logger } = this.#options;
    if (this.#closing.signal.aborted) return;
    try {
      const running = await runtime.listContainers({ podUid: uid });
      await Promise.all(running.map(({ id }) => runtime.stopContainer(id, { gracePeriodMs })));
    } catch (error) {
      logger.warn("a pod was not stopped sooner", { uid, error: String(error) });
    }
  }

  #begin(pod: Pod): void {
    if (this.#closing.signal.aborted) return;
    const { runtime, clock, logger } = this.#options;
    const uid = pod.metadata.uid ?? "";
    const onChange = (): void => this.#workers.get(uid)?.poke();
    const isBusy = (): boolean => this.#sync.isBusy;
    const probes = new PodProbes({
      runtime,
      clock,
      events: this.#events,
      onChange,
      isBusy,
      hostIp: this.#options.nodeAddress,
    });
    const memory: PodMemory = {
      uid,
      pod,
      requests: requestsOf(pod),
      gone: false,
      cleaned: false,
      admitted: false,
      referencesChanged: true,
      probes,
      failures: new Map(),
      messages: new Map(),
      toldBackoff: new Map(),
      interruption: new AbortController(),
    };
    const worker = new PodWorker({
      memory,
      sync: (known) => this.#sync.sync(known),
      onFinished: () => {
        this.#workers.delete(uid);
        this.#puller.forget(uid);
      },
      clock,
      logger,
    });
    this.#workers.set(uid, worker);
    worker.poke();
  }

  #referencesChanged(uids: readonly string[]): void {
    for (const uid of uids) {
      const worker = this.#workers.get(uid);
      if (worker === undefined) continue;
      worker.memory.referencesChanged = true;
      worker.poke();
    }
  }

  /** Pods that vanished while no kubelet ran, or while it reached nobody. */
  async #removeOrphans(pods: readonly Pod[]): Promise<void> {
    const { runtime, logger } = this.#options;
    const listed = new Set(pods.map(({ metadata }) => metadata.uid));
    // Pods may begin while others are removed.
    const isKnown = (uid: string): boolean => listed.has(uid) || this.#workers.has(uid);
    for (const sandbox of await runtime.listPodSandboxes()) {
      if (isKnown(sandbox.uid)) continue;
      const pod = `${sandbox.namespace}/${sandbox.name}`;
      logger.info("a pod that is no longer in the API is removed", { pod, uid: sandbox.uid });
      await runtime.removePodSandbox(sandbox.id);
    }
    for (const uid of this.#volumes.list()) if (!isKnown(uid)) this.#volumes.remove(uid);
  }

  async #followRuntime(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const { podUid } of this.#options.runtime.events(signal)) {
          this.#workers.get(podUid)?.poke();
        }
      } catch (error) {
        this.#options.logger.warn("container events were lost", { error: String(error) });
        await this.#relist();
      }
    }
  }

  async #relistForever(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#options.clock, RELIST_INTERVAL_MS, signal);
      if (signal.aborted) return;
      await this.#relist();
    }
  }

  async #relist(): Promise<void> {
    const listed = new Map<string, string>();
    for (const { id, podUid, state } of await this.#options.runtime.listContainers()) {
      listed.set(id, state);
      if (this.#listed.get(id) !== state) this.#workers.get(podUid)?.poke();
    }
    this.#listed = listed;
  }

  #refuse(pod: Pod): Refusal | undefined {
    const used = { pods: 0, cpuMillis: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
    for (const { memory } of this.#workers.values()) {
      if (!memory.admitted || memory.uid === pod.metadata.uid || isTerminal(memory.pod)) continue;
      used.pods++;
      used.cpuMillis += memory.requests.cpuMillis;
      used.memoryBytes += memory.requests.memoryBytes;
      used.ephemeralStorageBytes += memory.requests.ephemeralStorageBytes;
    }
    const { nodeName: name, capacity } = this.#options;
    return refuseAdmission(pod, used, { name, capacity });
  }

  #localStorageWatch(): LocalStorageWatch {
    const { clock, logger, logDirectory, localStorageIntervalMs: intervalMs } = this.#options;
    return new LocalStorageWatch({
      pods: () => [...this.#workers.values()].map(({ memory }) => memory.pod),
      volumeDirectory: (pod, volume) => this.#volumes.path(pod, volume),
      logDirectory: (pod) => podLogDirectory(logDirectory, pod),
      measure: diskUsage,
      evict: (pod, message) => this.#evict(pod, { reason: EVICTED, message }),
      clock,
      logger,
      ...(intervalMs === undefined ? {} : { intervalMs }),
    });
  }

  #evict(pod: Pod, eviction: { readonly reason: string; readonly message: string }): void {
    const worker = this.#workers.get(pod.metadata.uid ?? "");
    if (worker === undefined || worker.memory.eviction !== undefined) return;
    worker.memory.eviction = eviction;
    this.#events.pod(pod, "Warning", eviction.reason, eviction.message);
    worker.poke();
  }

  #createSync(): PodSync {
    const { client, runtime, clock, logger, logDirectory, nodeAddress, capacity } = this.#options;
    const { onReadiness } = this.#options;
    const shared = {
      client,
      runtime,
      clock,
      logger,
      events: this.#events,
      volumes: this.#volumes,
      hostIp: nodeAddress,
      allocatable: capacity,
    };
    const services = () => this.#services.lister.list();
    const { clusterDns } = this.#options;
    const puller = this.#puller;
    const sandboxes = new SandboxStarter({
      runtime,
      puller,
      handlerOf: (name) => this.#runtimeClasses.lister.get("", name)?.handler,
      ...(clusterDns === undefined ? {} : { clusterDns }),
      podLogDirectory: (pod) => podLogDirectory(logDirectory, pod),
    });
    return new PodSync({
      ...shared,
      references: this.#references,
      tokens: this.#tokens,
      statuses: this.#statuses,
      sandboxes,
      starter: new ContainerStarter({
        ...shared,
        puller,
        logDirectory,
        services,
        handlerOf: (pod, container) => sandboxes.handlerOf(pod, container),
        clusterDomain: clusterDns?.domain ?? DEFAULT_DOMAIN,
      }),
      termination: new PodTermination({ ...shared, closing: this.#closing.signal }),
      ...(onReadiness === undefined ? {} : { onReadiness }),
      refuse: (pod) => this.#refuse(pod),
    });
  }
}

/** The deletion's time includes its grace period. */
function isOverdue({ metadata }: Pod, nowMs: number): boolean {
  return parseRfc3339(metadata.deletionTimestamp ?? "") < nowMs;
}
