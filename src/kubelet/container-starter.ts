import { join } from "node:path";
import type { Container, Pod, Service } from "../api/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import {
  type ContainerConfig,
  type ContainerRuntime,
  type ImageStatus,
  type PodSandbox,
  RuntimeError,
} from "../runtime/index.ts";
import { ConfigError } from "./config-error.ts";
import { containerConfig } from "./container-config.ts";
import type { PodReferences } from "./environment.ts";
import type { ImagePuller } from "./image-puller.ts";
import { execIn } from "./exec-action.ts";
import { POST_START_HOOK_ERROR, POST_START_LIMIT_MS, runLifecycleHook } from "./lifecycle-hook.ts";
import { DEFAULT_GRACE_PERIOD_SECONDS, type PodAction } from "./pod-actions.ts";
import type { PodEvents } from "./pod-events.ts";
import type { Allocatable } from "./pod-fields.ts";
import type { PodVolumes } from "./pod-volumes.ts";
import { INITIAL_BACKOFF_MS } from "./restart-backoff.ts";
import { StartFailure } from "./start-failure.ts";

export interface ContainerStarterOptions {
  readonly runtime: ContainerRuntime;
  readonly puller: ImagePuller;
  readonly volumes: PodVolumes;
  readonly events: PodEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly logDirectory: string;
  readonly hostIp: string;
  readonly allocatable: Allocatable;
  readonly services: () => readonly Service[];
  /** The runtime that was asked for by hand for a container. */
  readonly handlerOf: (pod: Pod, container: Container) => string | undefined;
  readonly clusterDomain: string;
}

export interface StartRequest {
  readonly pod: Pod;
  readonly container: Container;
  readonly sandbox: PodSandbox;
  readonly action: Extract<PodAction, { type: "start-container" }>;
  readonly references: PodReferences;
  readonly signal: AbortSignal;
}

/** Where the logs of a pod stand, a directory a container. */
export function podLogDirectory(logDirectory: string, pod: Pod): string {
  const { namespace, name, uid } = pod.metadata;
  return join(logDirectory, `${namespace}_${name}_${uid}`);
}

/** Brings one container from its spec to a running program. */
export class ContainerStarter {
  readonly #options: ContainerStarterOptions;

  constructor(options: ContainerStarterOptions) {
    this.#options = options;
  }

  /** Throws {@link StartFailure} with the reason the pod's status is to show. */
  async start(request: StartRequest): Promise<void> {
    const { pod, container, signal, references } = request;
    const { runtime, puller, events } = this.#options;
    const begunMs = this.#options.clock.monotonic();
    const handler = this.#options.handlerOf(pod, container);
    const named = handler === undefined ? {} : { handler };
    const image = await puller.ensure(pod, container, { references, signal, ...named });
    const pulledMs = this.#options.clock.monotonic();
    const id = await this.#create(request, image, named);
    events.container(pod, container.name, "Normal", "Created", "Container created");
    const createdMs = this.#options.clock.monotonic();
    try {
      await runtime.startContainer(id);
    } catch (error) {
      throw this.#failure(request, "RunContainerError", error);
    }
    const startedMs = this.#options.clock.monotonic();
    events.container(pod, container.name, "Normal", "Started", "Container started");
    for (const warning of (await runtime.containerStatus(id)).warnings) {
      events.container(pod, container.name, "Warning", "PortNotBound", warning);
    }
    this.#options.logger.debug("container started", {
      pod: `${pod.metadata.namespace}/${pod.metadata.name}`,
      container: container.name,
      imageMs: pulledMs - begunMs,
      createMs: createdMs - pulledMs,
      startMs: startedMs - createdMs,
    });
    await this.#postStart(request, id);
  }

  /** A container whose hook fails has not begun well: it ends, and begins again by its policy. */
  async #postStart({ pod, container, sandbox, signal }: StartRequest, id: string): Promise<void> {
    const hook = container.lifecycle?.postStart;
    if (hook === undefined) return;
    const { runtime, clock, events } = this.#options;
    const endpoint = (ip: string, port: number) => runtime.endpoint(ip, port);
    const run = execIn(runtime, id);
    const target = { podIp: sandbox.ip || this.#options.hostIp, container, endpoint, run };
    const limitMs = hook.sleep === undefined ? POST_START_LIMIT_MS : Number.POSITIVE_INFINITY;
    const limits = { clock, limitMs, signal };
    const failed = await runLifecycleHook(hook, target, limits);
    if (failed === undefined || signal.aborted) return;
    const tell = (type: "Normal" | "Warning", reason: string, text: string): void =>
      events.container(pod, container.name, type, reason, text);
    tell("Warning", "FailedPostStartHook", `PostStartHook failed: ${failed}`);
    tell("Normal", "Killing", "FailedPostStartHook");
    const graceSeconds = pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_PERIOD_SECONDS;
    await runtime.stopContainer(id, { gracePeriodMs: graceSeconds * 1000 });
    throw new StartFailure(POST_START_HOOK_ERROR, failed, { retryAfterMs: 0 });
  }

  /** Where the logs of a pod stand. */
  podLogDirectory(pod: Pod): string {
    return podLogDirectory(this.#options.logDirectory, pod);
  }

  async #create(
    request: StartRequest,
    image: ImageStatus,
    named: { readonly handler?: string },
  ): Promise<string> {
    const logDirectory = this.podLogDirectory(request.pod);
    let config: ContainerConfig;
    try {
      config = containerConfig({ ...request, image, ...named }, { ...this.#options, logDirectory });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw this.#failure(request, "CreateContainerConfigError", error);
    }
    try {
      return await this.#options.runtime.createContainer(request.sandbox.id, config);
    } catch (error) {
      throw this.#failure(request, "CreateContainerError", error);
    }
  }

  #failure({ pod, container }: StartRequest, reason: string, error: unknown): StartFailure {
    if (!(error instanceof RuntimeError) && !(error instanceof ConfigError)) {
      this.#options.logger.error("a container start failed unexpectedly", { error });
    }
    const { message } = error as Error;
    this.#options.events.container(pod, container.name, "Warning", "Failed", `Error: ${message}`);
    return new StartFailure(reason, message, { cause: error, retryAfterMs: INITIAL_BACKOFF_MS });
  }
}
