import { rm } from "node:fs/promises";
import type { Container, Pod, PodStatus } from "../api/index.ts";
import { type Client, isConflict, isNotFound, PODS } from "../client/index.ts";
import { type Clock, sleep } from "../lib/index.ts";
import type { ContainerRuntime, ContainerStatus } from "../runtime/index.ts";
import type { PodEvents } from "./pod-events.ts";
import { podContainers, type PodRuntimeState, readySandbox } from "./pod-runtime-state.ts";
import type { PodVolumes } from "./pod-volumes.ts";
import { runProbe } from "./probe-action.ts";

export interface PodTerminationOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly events: PodEvents;
  readonly volumes: PodVolumes;
  readonly clock: Clock;
  /** Aborts when the kubelet ends: containers are then left to end on their own. */
  readonly closing: AbortSignal;
}

/** Ends containers and takes away what a pod leaves on the node. */
export class PodTermination {
  readonly #options: PodTerminationOptions;

  constructor(options: PodTerminationOptions) {
    this.#options = options;
  }

  /** Stops every running container, all at once, within the grace period. */
  async stopAll(pod: Pod, observed: PodRuntimeState, graceSeconds: number): Promise<void> {
    const running = observed.containers.filter(({ state }) => state === "running");
    const stops = running.map(async (status) => {
      const message = `Stopping container ${status.name}`;
      await this.stop(pod, observed, { status, message, graceSeconds });
    });
    await Promise.all(stops);
  }

  /** Runs the preStop hook, then stops; the hook's time counts against the grace period. */
  async stop(
    pod: Pod,
    observed: PodRuntimeState,
    end: {
      readonly status: ContainerStatus;
      readonly message: string;
      readonly graceSeconds: number;
    },
  ): Promise<void> {
    const { events, runtime, clock } = this.#options;
    const { status, message, graceSeconds } = end;
    events.container(pod, status.name, "Normal", "Killing", message);
    const container = podContainers(pod).find(({ name }) => name === status.name);
    const begunMs = clock.monotonic();
    if (container !== undefined && graceSeconds > 0) {
      const ip = readySandbox(observed)?.ip ?? "";
      const hook = this.#preStop(pod, container, ip, graceSeconds * 1000);
      await unlessAborted(hook, this.#options.closing);
    }
    const leftMs = Math.max(0, graceSeconds * 1000 - (clock.monotonic() - begunMs));
    const stopped = runtime.stopContainer(status.id, { gracePeriodMs: leftMs });
    await unlessAborted(stopped, this.#options.closing);
  }

  /** Removes sandboxes with their containers, volumes and logs. */
  async cleanUp(uid: string, logDirectory: string | undefined): Promise<void> {
    const { runtime, volumes } = this.#options;
    for (const sandbox of await runtime.listPodSandboxes({ podUid: uid })) {
      await runtime.removePodSandbox(sandbox.id);
    }
    volumes.remove(uid);
    if (logDirectory !== undefined) await rm(logDirectory, { recursive: true, force: true });
  }

  /** Tells the API server that nothing of the pod is left. */
  async deleteObject(pod: Pod): Promise<void> {
    const { name = "", namespace, uid } = pod.metadata;
    const preconditions = uid === undefined ? {} : { preconditions: { uid } };
    try {
      const pods = this.#options.client.resource(PODS, namespace);
      await pods.delete(name, { gracePeriodSeconds: 0, ...preconditions });
    } catch (error) {
      // Gone already, or another pod has the name by now.
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  async #preStop(pod: Pod, container: Container, podIp: string, limitMs: number): Promise<void> {
    const hook = container.lifecycle?.preStop;
    const { clock, runtime, events } = this.#options;
    if (hook === undefined) return;
    if (hook.sleep !== undefined) {
      return sleep(clock, Math.min(hook.sleep.seconds * 1000, limitMs));
    }
    const { httpGet } = hook;
    const endpoint = (ip: string, port: number) => runtime.endpoint(ip, port);
    const outcome =
      httpGet === undefined
        ? ({ success: false, message: "only httpGet and sleep are supported" } as const)
        : await runProbe(
            { httpGet },
            { podIp, container, endpoint },
            { clock, timeoutMs: limitMs },
          );
    if (outcome.success) return;
    const message = `PreStopHook failed: ${outcome.message}`;
    events.container(pod, container.name, "Warning", "FailedPreStopHook", message);
  }
}

function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error("the kubelet ends"));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** A pod whose containers have all been ended is Succeeded or Failed, whatever its policy. */
export function endedPhase(status: PodStatus): string {
  if (status.phase === "Succeeded" || status.phase === "Failed") return status.phase;
  const all = status.containerStatuses ?? [];
  const succeeded = all.every(({ state }) => state?.terminated?.exitCode === 0);
  return all.length > 0 && succeeded ? "Succeeded" : "Failed";
}
