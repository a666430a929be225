import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "../../api/index.ts";
import {
  ADMINISTRATORS,
  bootstrap,
  createApiServer,
  tokenAuthenticator,
} from "../../apiserver/index.ts";
import { type Client, createClient, EVENTS, PODS } from "../../client/index.ts";
import { type ImageStore, openImageStore } from "../../images/index.ts";
import { type Fetch, type Logger, silentLogger } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { createDisk, createProcessSpawner, systemClock, systemRandom } from "../../os/index.ts";
import { createRegistry } from "../../registry/index.ts";
import { createWasiRuntime, type WasiRuntime } from "../../runtime/index.ts";
import { openStore, type Store } from "../../store/index.ts";
import { createKubelet, type Kubelet } from "../index.ts";

const source = join(import.meta.dir, "..", "..");
const MODULE = join(source, "..", "workloads", "hello-http", "hello-http.wasm");
const TOKEN = "test-token";

export const NODE_NAME = "node-1";
export const IMAGE = "hello-http:v1";

/** One node with a real API server, image store and runtime, all in this process. */
export class TestNode {
  readonly root = mkdtempSync(join(tmpdir(), "kubun-node-"));
  readonly client: Client;
  /** The kubelet's own way to the API, which {@link cut} cuts. */
  readonly #kubeletClient: Client;
  readonly #link: Link;
  readonly images: ImageStore;
  readonly #podCidr: string | undefined;
  readonly #localStorageIntervalMs: number | undefined;
  /** Of the store and the images. */
  readonly #directory: string;
  readonly #store: Store;
  readonly #logger: Logger;
  runtime: WasiRuntime;
  kubelet: Kubelet;
  #abort = new AbortController();

  private constructor(parts: {
    directory: string;
    store: Store;
    client: Client;
    kubeletClient: Client;
    link: Link;
    images: ImageStore;
    logger: Logger;
    podCidr: string | undefined;
    localStorageIntervalMs: number | undefined;
  }) {
    this.#directory = parts.directory;
    this.#store = parts.store;
    this.client = parts.client;
    this.#kubeletClient = parts.kubeletClient;
    this.#link = parts.link;
    this.#podCidr = parts.podCidr;
    this.#localStorageIntervalMs = parts.localStorageIntervalMs;
    this.images = parts.images;
    this.#logger = parts.logger;
    this.runtime = this.#newRuntime();
    this.kubelet = this.#newKubelet();
  }

  /** What the kubelet told of pods: name, ready or not, address. */
  readonly readiness: string[] = [];

  /** `ownRange: "no"` leaves the node without a range until its object is given one. */
  static async create(
    options: {
      logger?: Logger;
      ownRange?: "yes" | "no";
      localStorageIntervalMs?: number;
    } = {},
  ): Promise<TestNode> {
    const { logger = silentLogger } = options;
    const directory = mkdtempSync(join(tmpdir(), "kubun-api-"));
    const clock = systemClock;
    const random = systemRandom;
    const store = await openStore({ directory, disk: createDisk(), clock, random, logger });
    const registry = createRegistry({
      store,
      clock,
      random,
      logger,
      serviceCidr: "127.143.0.0/16",
      nodePortRange: { from: 30000, to: 32767 },
    });
    const place = { servers: [{ address: "127.0.0.1", port: 6443 }] };
    await bootstrap({ registry, logger, ...place });
    const admin = { name: "admin", groups: [ADMINISTRATORS] };
    const app = createApiServer({
      registry,
      clock,
      random,
      logger,
      authenticator: tokenAuthenticator(new Map([[TOKEN, admin]])),
      nodeConnector: () => undefined,
      version: {
        major: "1",
        minor: "36",
        gitVersion: "v1.36.0+kubun",
        gitCommit: "",
        platform: "linux/amd64",
      },
    });
    const fetch = async (request: Request) => app.fetch(request);
    const client = createClient({ fetch, token: TOKEN, userAgent: "test", clock });
    const link = new Link(fetch);
    const kubeletClient = createClient({
      fetch: (request) => link.fetch(request),
      token: TOKEN,
      userAgent: "kubelet",
      clock,
    });
    const images = openImageStore({ directory: join(directory, "images"), logger, clock });
    await images.pushModule(IMAGE, await Bun.file(MODULE).bytes());
    const podCidr = options.ownRange === "no" ? undefined : "127.142.0.0/16";
    const { localStorageIntervalMs } = options;
    const parts = {
      directory,
      store,
      client,
      kubeletClient,
      link,
      images,
      logger,
      podCidr,
      localStorageIntervalMs,
    };
    return new TestNode(parts);
  }

  async start(): Promise<void> {
    await this.runtime.start();
    await this.kubelet.start(this.#abort.signal);
  }

  /** From here on the kubelet reaches no API server, until {@link mend}. */
  cut(): void {
    this.#link.cut();
  }

  mend(): void {
    this.#link.mend();
  }

  /** Called when a request of the kubelet was answered, before the kubelet has the answer. */
  onAnswer(hook: (request: Request) => Promise<void>): void {
    this.#link.onAnswer = hook;
  }

  /** Ends the kubelet as a server does that leaves its pods running, and starts another. */
  async restart(): Promise<void> {
    await this.#stop();
    this.#abort = new AbortController();
    this.runtime = this.#newRuntime();
    this.kubelet = this.#newKubelet();
    await this.start();
  }

  async dispose(): Promise<void> {
    this.#abort.abort();
    await this.kubelet.drained();
    for (const { id } of await this.runtime.listPodSandboxes()) {
      await this.runtime.removePodSandbox(id);
    }
    this.runtime.shutdown();
    await this.images.close();
    await this.#store.close();
    rmSync(this.root, { recursive: true, force: true });
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Creates a pod on this node with one container of the test image. */
  createPod(name: string, changes: PodChanges = {}): Promise<Pod> {
    const { container = {}, spec = {}, metadata = {} } = changes;
    return this.client.resource(PODS, "default").create({
      metadata: { name, namespace: "default", ...metadata },
      spec: {
        nodeName: NODE_NAME,
        terminationGracePeriodSeconds: 5,
        containers: [{ name: "app", image: IMAGE, ports: [{ containerPort: 8080 }], ...container }],
        ...spec,
      },
    });
  }

  getPod(name: string): Promise<Pod> {
    return this.client.resource(PODS, "default").get(name);
  }

  /** Waits until the pod is as asked. */
  pod(name: string, is: (pod: Pod) => boolean, what = "pod state"): Promise<Pod> {
    let last: Pod | undefined;
    return eventually(
      async () => {
        last = await this.getPod(name);
        return is(last) ? last : undefined;
      },
      { what },
    ).catch((error: unknown) => {
      const status = JSON.stringify(last?.status, undefined, 1);
      throw new Error(`${name}: ${what}: ${status}`, { cause: error });
    });
  }

  ready(name: string): Promise<Pod> {
    const isReady = (pod: Pod): boolean =>
      (pod.status?.conditions ?? []).some(
        ({ type, status }) => type === "Ready" && status === "True",
      );
    return this.pod(name, isReady, "is ready");
  }

  async eventReasons(name: string): Promise<string[]> {
    const { items } = await this.client.resource(EVENTS, "default").list();
    return items
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason = "" }) => reason);
  }

  /** Waits for an event about a pod. */
  eventSaying(name: string, reason: string, message: string): Promise<unknown> {
    return eventually(
      async () => {
        const { items } = await this.client.resource(EVENTS, "default").list();
        return items.find(
          (event) =>
            event.involvedObject.name === name &&
            event.reason === reason &&
            event.message === message,
        );
      },
      { what: `event ${reason}` },
    );
  }

  /** One HTTP request to a port of a pod. */
  async fetch(pod: Pod, path: string, port = 8080): Promise<string> {
    const unix = this.runtime.endpoint(pod.status?.podIP ?? "", port);
    if (unix === undefined) throw new Error(`no endpoint for ${pod.status?.podIP}:${port}`);
    const headers = { connection: "close" };
    const options = { unix, headers, keepalive: false };
    return (await fetch(`http://pod${path}`, options)).text();
  }

  async #stop(): Promise<void> {
    this.#abort.abort();
    await this.kubelet.drained();
    this.runtime.shutdown();
  }

  #newRuntime(): WasiRuntime {
    return createWasiRuntime({
      stateDirectory: join(this.root, "runtime"),
      socketDirectory: join(this.root, "s"),
      images: this.images,
      ...(this.#podCidr === undefined ? {} : { podCidr: this.#podCidr }),
      spawner: createProcessSpawner(),
      workerCommand: [process.execPath, join(source, "cmd", "wasi-worker.ts")],
      clock: systemClock,
      random: systemRandom,
      logger: this.#logger,
      warmWorkers: 1,
    });
  }

  #newKubelet(): Kubelet {
    return createKubelet({
      nodeName: NODE_NAME,
      client: this.#kubeletClient,
      runtime: this.runtime,
      clock: systemClock,
      random: systemRandom,
      logger: this.#logger,
      rootDirectory: join(this.root, "kubelet"),
      logDirectory: join(this.root, "logs"),
      nodeAddress: "127.0.0.1",
      ...(this.#podCidr === undefined ? {} : { podCidr: this.#podCidr }),
      peerAddress: "127.0.0.1:10250",
      onReadiness: ({ metadata, status }, { ready }) => {
        this.readiness.push(`${metadata.name} ${ready} ${status?.podIP}`);
      },
      capacity: { cpuMillis: 4000, memoryBytes: 2 ** 33, ephemeralStorageBytes: 2 ** 34 },
      kubeletVersion: "v1.36.0+kubun",
      ...(this.#localStorageIntervalMs === undefined
        ? {}
        : { localStorageIntervalMs: this.#localStorageIntervalMs }),
    });
  }
}

/** A connection that can be cut: requests fail, and what is under way breaks. */
class Link {
  onAnswer: (request: Request) => Promise<void> = () => Promise.resolve();
  readonly #fetch: Fetch;
  #connected = new AbortController();

  constructor(fetch: Fetch) {
    this.#fetch = fetch;
  }

  cut(): void {
    this.#connected.abort(new Error("the link is cut"));
  }

  mend(): void {
    this.#connected = new AbortController();
  }

  async fetch(request: Request): Promise<Response> {
    const { signal } = this.#connected;
    signal.throwIfAborted();
    const either = AbortSignal.any([request.signal, signal]);
    const response = await this.#fetch(new Request(request, { signal: either }));
    await this.onAnswer(request);
    return response;
  }
}

interface PodChanges {
  readonly container?: Partial<NonNullable<Pod["spec"]>["containers"][number]>;
  readonly spec?: Partial<NonNullable<Pod["spec"]>>;
  readonly metadata?: Pod["metadata"];
}
