import {
  type ContainerConfig,
  type ContainerStats,
  type ContainerStatus,
  type PodFilter,
  type PodSandboxConfig,
  RuntimeError,
  type StopOptions,
} from "../runtime.ts";
import { containerRequest } from "./container-request.ts";
import { containerStatusOf } from "./container-status.ts";
import type { CriClient } from "./cri/cri-client.ts";
import { asRuntimeError, CriError } from "./cri/cri-error.ts";
import { CONTAINER_STATES } from "./cri/messages.ts";
import { RUNTIME } from "./cri/methods.ts";
import { POD_UID, sandboxRequest } from "./sandbox-request.ts";

const CALL_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 2 * 60_000;
/** How long a server may take beyond a grace period until a container is gone. */
const KILL_PATIENCE_MS = 60_000;

/** The verbs for containers. What a container was is asked once for each of its states. */
export class OciContainers {
  readonly #client: () => Promise<CriClient>;
  readonly #known = new Map<string, ContainerStatus>();

  constructor(client: () => Promise<CriClient>) {
    this.#client = client;
  }

  async create(
    sandboxId: string,
    config: ContainerConfig,
    sandbox: PodSandboxConfig,
  ): Promise<string> {
    const client = await this.#client();
    const request = {
      podSandboxId: sandboxId,
      config: containerRequest(config, sandbox),
      sandboxConfig: sandboxRequest(sandbox),
    };
    const { containerId } = await client
      .call(RUNTIME.createContainer, request, { timeoutMs: START_TIMEOUT_MS })
      .catch((error: unknown) => {
        throw asCreateError(error);
      });
    return containerId;
  }

  async start(id: string): Promise<void> {
    const client = await this.#client();
    await client
      .call(RUNTIME.startContainer, { containerId: id }, { timeoutMs: START_TIMEOUT_MS })
      .catch((error: unknown) => {
        const wasStarted =
          error instanceof CriError && /is in CONTAINER_\w+ state/.test(error.details);
        throw asRuntimeError(error, wasStarted ? "invalid-config" : "start-failed");
      });
  }

  async stop(id: string, { gracePeriodMs }: StopOptions): Promise<void> {
    const client = await this.#client();
    const request = { containerId: id, timeout: Math.ceil(gracePeriodMs / 1000) };
    await client
      .call(RUNTIME.stopContainer, request, { timeoutMs: gracePeriodMs + KILL_PATIENCE_MS })
      .catch(unlessGone);
  }

  async remove(id: string): Promise<void> {
    const client = await this.#client();
    await client
      .call(RUNTIME.removeContainer, { containerId: id }, { timeoutMs: KILL_PATIENCE_MS })
      .catch(unlessGone);
    this.#known.delete(id);
  }

  /** Errors: `not-found`. */
  async status(id: string): Promise<ContainerStatus> {
    const status = await this.find(id);
    if (status === undefined) throw new RuntimeError("not-found", `no container ${id}`);
    return status;
  }

  async find(id: string): Promise<ContainerStatus | undefined> {
    const client = await this.#client();
    // Only lists tell the sandbox of a container.
    const sandboxId = this.#known.get(id)?.sandboxId ?? (await this.#sandboxOf(client, id));
    return sandboxId === undefined ? undefined : this.#ask(client, id, sandboxId);
  }

  async list({ podUid }: PodFilter = {}): Promise<readonly ContainerStatus[]> {
    const client = await this.#client();
    const filter = podUid === undefined ? {} : { filter: { labelSelector: { [POD_UID]: podUid } } };
    const { containers } = await client
      .call(RUNTIME.listContainers, filter, { timeoutMs: CALL_TIMEOUT_MS })
      .catch((error: unknown) => {
        throw asRuntimeError(error, "not-found");
      });
    if (podUid === undefined) {
      const ids = new Set(containers.map(({ id }) => id));
      for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    }
    const found = await Promise.all(
      containers.map(async ({ id, podSandboxId, state }) => {
        const known = this.#known.get(id);
        const isAsKnown = known?.state === CONTAINER_STATES[state];
        return known !== undefined && isAsKnown ? known : this.#ask(client, id, podSandboxId);
      }),
    );
    return found.flatMap((container) => container ?? []);
  }

  async stats(id: string): Promise<ContainerStats | undefined> {
    const { state } = await this.status(id);
    if (state !== "running") return undefined;
    const client = await this.#client();
    const request = { containerId: id };
    const { stats } = await client
      .call(RUNTIME.containerStats, request, { timeoutMs: CALL_TIMEOUT_MS })
      .catch((error: unknown) => {
        // It may have ended between the two calls.
        if (error instanceof CriError && !error.isUnavailable) return { stats: undefined };
        throw asRuntimeError(error, "not-found");
      });
    if (stats === undefined) return undefined;
    return {
      memoryBytes: stats.memory?.workingSetBytes?.value ?? 0,
      cpuNanoseconds: stats.cpu?.usageCoreNanoSeconds?.value ?? 0,
    };
  }

  async reopenLog(id: string): Promise<void> {
    const client = await this.#client();
    const request = { containerId: id };
    await client
      .call(RUNTIME.reopenContainerLog, request, { timeoutMs: CALL_TIMEOUT_MS })
      .catch((error: unknown) => {
        throw asRuntimeError(error, "not-found");
      });
  }

  async #sandboxOf(client: CriClient, id: string): Promise<string | undefined> {
    const { containers } = await client
      .call(RUNTIME.listContainers, { filter: { id } }, { timeoutMs: CALL_TIMEOUT_MS })
      .catch((error: unknown) => {
        throw asRuntimeError(error, "not-found");
      });
    return containers.find((container) => container.id === id)?.podSandboxId;
  }

  async #ask(
    client: CriClient,
    id: string,
    sandboxId: string,
  ): Promise<ContainerStatus | undefined> {
    const { status } = await client
      .call(RUNTIME.containerStatus, { containerId: id }, { timeoutMs: CALL_TIMEOUT_MS })
      .catch((error: unknown) => {
        if (error instanceof CriError && error.isNotFound) return { status: undefined };
        throw asRuntimeError(error, "not-found");
      });
    const found = status === undefined ? undefined : containerStatusOf(status, sandboxId);
    if (found === undefined) this.#known.delete(id);
    else this.#known.set(id, found);
    return found;
  }
}

/** What is missing is told in words only: the image or the sandbox. */
function asCreateError(error: unknown): unknown {
  if (error instanceof CriError && error.isNotFound && /image/.test(error.details)) {
    return new RuntimeError("image-missing", `${error.details}; it was not pulled to this node`, {
      cause: error,
    });
  }
  return asRuntimeError(error, "invalid-config");
}

function unlessGone(error: unknown): void {
  if (error instanceof CriError && error.isNotFound) return;
  throw asRuntimeError(error, "start-failed");
}
