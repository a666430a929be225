import { rm } from "node:fs/promises";
import type { Container, Pod, PodStatus } from "../api/index.ts";
import { type Client, isConflict, isNotFound, PODS } from "../client/index.ts";
import { type Clock, sleep } from "../lib/index.ts";
import type { ContainerRuntime, ContainerStatus } from "../runtime/index.ts";
import { execIn } from "./exec-action.ts";
import type { PodEvents } from "./pod-events.ts";
import { runLifecycleHook } from "./lifecycle-hook.ts";
import {
  isSidecar,
  podContainers,
  type PodRuntimeState,
  readySandbox,
} from "./pod-runtime-state.ts";
import type { PodVolumes } from "./pod-volumes.ts";

export interface PodTerminationOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly events: PodEvents;
  readonly volumes: PodVolumes;
  readonly clock: Clock;
  readonly hostIp: string;
  /** Aborts when the kubelet ends: containers are then left to end on their own. */
  readonly closing: AbortSignal;
}

/** However long a hook or the wait for a turn took, a program has this long to end. */
const MINIMUM_GRACE_MS = 2000;

/** Ends containers and takes away what a pod leaves on the node. */
export class PodTermination {
  readonly #options: PodTerminationOptions;

  constructor(options: PodTerminationOptions) {
    this.#options = options;
  }

  /**
   * Stops every running container within the grace period: all at once, but each sidecar only when
   * the main containers and the sidecars that began after it have ended. Waiting for its turn takes
   * from a sidecar's grace period.
   */
  async stopAll(pod: Pod, observed: PodRuntimeState, graceSeconds: number): Promise<void> {
    const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
    const running = observed.containers.filter(({ state }) => state === "running");
    const stop = (status: ContainerStatus, turn: Promise<unknown>): Promise<void> => {
      const message = `Stopping container ${status.name}`;
      return this.stop(pod, observed, { status, message, graceSeconds, turn });
    };
    const mains = running.filter(({ name }) => !sidecars.includes(name));
    const stops = mains.map((status) => stop(status, Promise.resolve()));
    for (const name of sidecars.toReversed()) {
      const turn = Promise.allSettled(stops);
      for (const status of running.filter((one) => one.name === name)) {
        stops.push(stop(status, turn));
      }
    }
    await Promise.all(stops);
  }

  /** Runs the preStop hook, waits for its turn, then stops; both count against the grace period. */
  async stop(
    pod: Pod,
    observed: PodRuntimeState,
    end: {
      readonly status: ContainerStatus;
      readonly message: string;
      readonly graceSeconds: number;
      readonly turn?: Promise<unknown>;
    },
  ): Promise<void> {
    const { events, runtime, clock, closing } = this.#options;
    const { status, message, graceSeconds, turn } = end;
    events.container(pod, status.name, "Normal", "Killing", message);
    const container = podContainers(pod).find(({ name }) => name === status.name);
    const begunMs = clock.monotonic();
    const leftMs = (): number => graceSeconds * 1000 - (clock.monotonic() - begunMs);
    if (container !== undefined && graceSeconds > 0) {
      const ip = readySandbox(observed)?.ip || this.#options.hostIp;
      const target = { container, ip, id: status.id };
      await unlessAborted(this.#preStop(pod, target, graceSeconds * 1000), closing);
    }
    if (turn !== undefined) await unlessAborted(this.#turn(turn, leftMs()), closing);
    const least = graceSeconds > 0 ? Math.min(graceSeconds * 1000, MINIMUM_GRACE_MS) : 0;
    const gracePeriodMs = Math.max(least, leftMs());
    await unlessAborted(runtime.stopContainer(status.id, { gracePeriodMs }), closing);
  }

  /** Resolves with the turn, or when no time is left to wait for it. */
  async #turn(turn: Promise<unknown>, limitMs: number): Promise<void> {
    const late = new AbortController();
    await Promise.race([turn, sleep(this.#options.clock, Math.max(0, limitMs), late.signal)]);
    late.abort();
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

  async #preStop(
    pod: Pod,
    { container, ip: podIp, id }: { container: Container; ip: string; id: string },
    limitMs: number,
  ): Promise<void> {
    const hook = container.lifecycle?.preStop;
    if (hook === undefined) return;
    const { clock, runtime, events, closing } = this.#options;
    const endpoint = (ip: string, port: number) => runtime.endpoint(ip, port);
    const target = { podIp, container, endpoint, run: execIn(runtime, id) };
    const failed = await runLifecycleHook(hook, target, { clock, limitMs, signal: closing });
    if (failed === undefined) return;
    const message = `PreStopHook failed: ${failed}`;
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
