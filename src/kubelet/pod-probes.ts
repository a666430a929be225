import type { Pod } from "../api/index.ts";
import type { Clock } from "../lib/index.ts";
import type { ContainerRuntime } from "../runtime/index.ts";
import { ContainerProbes } from "./container-probes.ts";
import { execIn } from "./exec-action.ts";
import type { PodEvents } from "./pod-events.ts";
import {
  containerIdOf,
  podContainers,
  type PodRuntimeState,
  readySandbox,
  recordedStatus,
} from "./pod-runtime-state.ts";

export interface PodProbesOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly events: PodEvents;
  readonly onChange: () => void;
  readonly isBusy: () => boolean;
  /** Where pods on the machine's own network are. */
  readonly hostIp: string;
}

export interface ProbeResults {
  readonly ready: ReadonlySet<string>;
  readonly started: ReadonlySet<string>;
  readonly unhealthy: ReadonlyMap<string, "liveness" | "startup">;
}

/** The probes of a pod's running containers. */
export class PodProbes {
  readonly #options: PodProbesOptions;
  readonly #byContainer = new Map<string, ContainerProbes>();

  constructor(options: PodProbesOptions) {
    this.#options = options;
  }

  /** Begins with containers that run now, and lets go of those that do not. */
  follow(pod: Pod, observed: PodRuntimeState): void {
    const running = new Set<string>();
    const specs = new Map(podContainers(pod).map((one) => [one.name, one]));
    for (const status of observed.containers) {
      const container = specs.get(status.name);
      if (status.state !== "running" || container === undefined) continue;
      running.add(status.id);
      if (this.#byContainer.has(status.id)) continue;
      const { runtime, clock, events, onChange, isBusy, hostIp } = this.#options;
      const probes = new ContainerProbes({
        pod,
        container,
        status,
        podIp: readySandbox(observed)?.ip || hostIp,
        run: execIn(runtime, status.id),
        endpoint: (ip, port) => runtime.endpoint(ip, port),
        initially: recorded(pod, status.name, containerIdOf(status, runtime.name)),
        clock,
        events,
        onChange,
        isBusy,
      });
      this.#byContainer.set(status.id, probes);
    }
    for (const id of this.#byContainer.keys()) if (!running.has(id)) this.#drop(id);
  }

  /** A container may be ready in a moment: to say that it is not would be out of date at once. */
  get undecided(): boolean {
    return [...this.#byContainer.values()].some((probes) => probes.undecided);
  }

  results(): ProbeResults {
    const entries = [...this.#byContainer];
    return {
      ready: new Set(entries.filter(([, probes]) => probes.ready).map(([id]) => id)),
      started: new Set(entries.filter(([, probes]) => probes.started).map(([id]) => id)),
      unhealthy: new Map(
        entries.flatMap(([id, { failed }]) => (failed === undefined ? [] : [[id, failed]])),
      ),
    };
  }

  close(): void {
    for (const id of this.#byContainer.keys()) this.#drop(id);
  }

  #drop(id: string): void {
    this.#byContainer.get(id)?.close();
    this.#byContainer.delete(id);
  }
}

function recorded(pod: Pod, name: string, containerId: string) {
  const known = recordedStatus(pod, name);
  const same = known?.containerID === containerId;
  return { ready: same && known.ready, started: same && known.started === true };
}
