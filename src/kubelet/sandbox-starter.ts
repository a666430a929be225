import { readFileSync } from "node:fs";
import type { Container, Pod } from "../api/index.ts";
import { type ContainerRuntime, type DnsConfig, RuntimeError } from "../runtime/index.ts";
import type { PodReferences } from "./environment.ts";
import type { ImagePuller } from "./image-puller.ts";
import type { ClusterDns } from "./pod-dns.ts";
import { parseResolvConf } from "./pod-dns.ts";
import { annotatedHandler, sandboxConfig } from "./sandbox-config.ts";
import { StartFailure } from "./start-failure.ts";

export interface SandboxStarterOptions {
  readonly runtime: ContainerRuntime;
  readonly puller: ImagePuller;
  /** The handler behind a RuntimeClass; undefined: there is no such class. */
  readonly handlerOf: (runtimeClassName: string) => string | undefined;
  readonly clusterDns?: ClusterDns;
  readonly podLogDirectory: (pod: Pod) => string;
}

/** A container whose image could not be had, so that the pod's sandbox waits. */
export class ImageFailure extends Error {
  override readonly name = "ImageFailure";
  readonly container: string;
  readonly failure: StartFailure;

  constructor(container: string, failure: StartFailure) {
    super(failure.message, { cause: failure });
    this.container = container;
    this.failure = failure;
  }
}

const RESOLV_CONF = "/etc/resolv.conf";

/** Makes the sandboxes of pods. */
export class SandboxStarter {
  readonly #options: SandboxStarterOptions;

  constructor(options: SandboxStarterOptions) {
    this.#options = options;
  }

  /**
   * Throws {@link ImageFailure} where the choice of a runtime takes an image that cannot be had;
   * any other error is why there is no sandbox.
   */
  async start(
    pod: Pod,
    attempt: number,
    options: { readonly references: PodReferences; readonly signal: AbortSignal },
  ): Promise<void> {
    const { runtime, clusterDns, podLogDirectory } = this.#options;
    const handler = this.handlerOfPod(pod);
    const config = sandboxConfig(pod, {
      attempt,
      ...(handler === undefined ? {} : { handler }),
      hostDns: hostDns(),
      ...(clusterDns === undefined ? {} : { clusterDns }),
      logDirectory: podLogDirectory(pod),
    });
    try {
      await runtime.runPodSandbox(config);
    } catch (error) {
      const lacksImage = error instanceof RuntimeError && error.code === "image-missing";
      if (!lacksImage) throw error;
      await this.#identifyImages(pod, options);
      await runtime.runPodSandbox(config);
    }
  }

  /** What the pod's RuntimeClass stands for. Throws when there is none of that name. */
  handlerOfPod({ spec }: Pod): string | undefined {
    const className = spec?.runtimeClassName;
    if (className === undefined || className === "") return undefined;
    const handler = this.#options.handlerOf(className);
    if (handler === undefined) throw new Error(`RuntimeClass "${className}" not found`);
    return handler;
  }

  /** The runtime that was asked for by hand: the pod's class says it first. */
  handlerOf(pod: Pod, container: Container): string | undefined {
    return this.handlerOfPod(pod) ?? annotatedHandler(pod, container);
  }

  async #identifyImages(
    pod: Pod,
    options: { readonly references: PodReferences; readonly signal: AbortSignal },
  ): Promise<void> {
    const { initContainers = [], containers = [] } = pod.spec ?? {};
    for (const container of [...initContainers, ...containers]) {
      if (this.handlerOf(pod, container) !== undefined) continue;
      try {
        await this.#options.puller.identify(pod, container, options);
      } catch (error) {
        if (!(error instanceof StartFailure)) throw error;
        throw new ImageFailure(container.name, error);
      }
    }
  }
}

/** The machine's own resolver, read afresh: it changes with the machine's network. */
function hostDns(): DnsConfig {
  try {
    return parseResolvConf(readFileSync(RESOLV_CONF, "utf8"));
  } catch {
    return { servers: [], searches: [], options: [] }; // A machine without one.
  }
}
