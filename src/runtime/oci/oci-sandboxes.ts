import type { Clock, Logger } from "../../lib/index.ts";
import {
  type PodFilter,
  type PodSandbox,
  type PodSandboxConfig,
  RuntimeError,
} from "../runtime.ts";
import { milliseconds } from "./container-status.ts";
import type { CriClient } from "./cri/cri-client.ts";
import { asRuntimeError, CriError } from "./cri/cri-error.ts";
import { SANDBOX_READY } from "./cri/messages.ts";
import { RUNTIME } from "./cri/methods.ts";
import type { KnownSandbox, PodNetworks } from "./pod-networks.ts";
import { configOf, POD_UID, sandboxRequest } from "./sandbox-request.ts";

export interface OciSandboxesOptions {
  readonly client: () => Promise<CriClient>;
  /** Absent where somebody else's CRI brings its own network. */
  readonly networks?: PodNetworks;
  readonly defaultHandler: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A sandbox with what it was asked for. */
export interface OciSandbox extends PodSandbox {
  readonly config: PodSandboxConfig;
}

const CALL_TIMEOUT_MS = 30_000;
const RUN_TIMEOUT_MS = 4 * 60_000;
const STOP_TIMEOUT_MS = 2 * 60_000;

/** The verbs for sandboxes. What never changes in a sandbox's life is asked for once. */
export class OciSandboxes {
  readonly #options: OciSandboxesOptions;
  readonly #known = new Map<string, OciSandbox>();
  #running = 0;
  #wasListed = false;

  constructor(options: OciSandboxesOptions) {
    this.#options = options;
  }

  /** No sandbox is there or being made; false as long as nobody has listed them. */
  get isEmpty(): boolean {
    return this.#wasListed && this.#known.size === 0 && this.#running === 0;
  }

  async run(config: PodSandboxConfig): Promise<PodSandbox> {
    this.#running++;
    try {
      return await this.#run(config);
    } finally {
      this.#running--;
    }
  }

  async #run(config: PodSandboxConfig): Promise<PodSandbox> {
    const { networks } = this.#options;
    const client = await this.#options.client();
    const hasOwnNetwork = config.host?.network !== true && networks !== undefined;
    if (hasOwnNetwork) await networks.prepare(config);
    let id: string | undefined;
    try {
      const request = { config: sandboxRequest(config), runtimeHandler: config.handler };
      const made = await client.call(RUNTIME.runPodSandbox, request, { timeoutMs: RUN_TIMEOUT_MS });
      id = made.podSandboxId;
      const sandbox = await this.#ask(client, id);
      await networks?.started(config, knownOf(sandbox));
      return asPodSandbox(sandbox);
    } catch (error) {
      // Without this call a sandbox that was made, and could not be told of, would stay.
      if (id !== undefined) await this.remove(id);
      else if (hasOwnNetwork) await networks.release(config);
      throw asRuntimeError(error, "start-failed");
    }
  }

  async stop(id: string): Promise<void> {
    const client = await this.#options.client();
    const request = { podSandboxId: id };
    await client
      .call(RUNTIME.stopPodSandbox, request, { timeoutMs: STOP_TIMEOUT_MS })
      .catch(unlessGone);
    const known = this.#known.get(id);
    if (known !== undefined) this.#known.set(id, { ...known, state: "notready" });
  }

  async remove(id: string): Promise<void> {
    const client = await this.#options.client();
    const sandbox = await this.find(id);
    if (sandbox === undefined) return;
    const request = { podSandboxId: id };
    const { stopPodSandbox, removePodSandbox } = RUNTIME;
    const timeoutMs = STOP_TIMEOUT_MS;
    await client.call(stopPodSandbox, request, { timeoutMs }).catch(unlessGone);
    await client.call(removePodSandbox, request, { timeoutMs }).catch(unlessGone);
    this.#known.delete(id);
    await this.#options.networks?.release(sandbox);
  }

  /** Errors: `not-found`. */
  async get(id: string): Promise<OciSandbox> {
    const sandbox = await this.find(id);
    if (sandbox === undefined) throw new RuntimeError("not-found", `no pod sandbox ${id}`);
    return sandbox;
  }

  async find(id: string): Promise<OciSandbox | undefined> {
    try {
      return await this.#ask(await this.#options.client(), id);
    } catch (error) {
      if (error instanceof CriError && error.isNotFound) return undefined;
      throw asRuntimeError(error, "not-found");
    }
  }

  /** What a sandbox was asked for, without asking whether it is still there. */
  async configOf(id: string): Promise<PodSandboxConfig> {
    return (this.#known.get(id) ?? (await this.get(id))).config;
  }

  async list({ podUid }: PodFilter = {}): Promise<readonly OciSandbox[]> {
    const client = await this.#options.client();
    const filter = podUid === undefined ? {} : { filter: { labelSelector: { [POD_UID]: podUid } } };
    const { items } = await client
      .call(RUNTIME.listPodSandboxes, filter, { timeoutMs: CALL_TIMEOUT_MS })
      .catch((error: unknown) => {
        throw asRuntimeError(error, "not-found");
      });
    const ours = items.filter(({ annotations }) => configOf(annotations) !== undefined);
    if (podUid === undefined) this.#keepOnly(new Set(ours.map(({ id }) => id)));
    const found = await Promise.all(
      ours.map(async ({ id, state }): Promise<OciSandbox | undefined> => {
        const known = this.#known.get(id);
        const isAsKnown = known?.state === (state === SANDBOX_READY ? "ready" : "notready");
        return known !== undefined && isAsKnown ? known : this.find(id);
      }),
    );
    if (podUid === undefined) this.#wasListed = true;
    return found.flatMap((sandbox) => sandbox ?? []);
  }

  /** Tells the network who is there; what is left of others goes. */
  async reconcile(): Promise<void> {
    const { networks, logger } = this.#options;
    if (networks === undefined) return;
    try {
      await networks.reconcile((await this.list()).map(knownOf));
    } catch (error) {
      logger.error("the network of container pods could not be put in order", { error });
    }
  }

  async #ask(client: CriClient, id: string): Promise<OciSandbox> {
    const request = { podSandboxId: id, verbose: true };
    const answer = await client.call(RUNTIME.podSandboxStatus, request, {
      timeoutMs: CALL_TIMEOUT_MS,
    });
    const { status, info } = answer;
    const config = status === undefined ? undefined : configOf(status.annotations);
    if (status === undefined || config === undefined) {
      throw new RuntimeError("not-found", `no pod sandbox ${id} of ours`);
    }
    const namespace = namespaceIn(info["info"]);
    const known = this.#known.get(id);
    // A stopped sandbox has no address for the CRI any more; for us it is held until it is removed.
    const ip = status.network?.ip || (known?.ip ?? "");
    const sandbox: OciSandbox = {
      id,
      name: config.name,
      namespace: config.namespace,
      uid: config.uid,
      attempt: config.attempt,
      handler: status.runtimeHandler || this.#options.defaultHandler,
      state: status.state === SANDBOX_READY ? "ready" : "notready",
      ip,
      ...(namespace === undefined || config.host?.network === true
        ? {}
        : { networkNamespace: namespace }),
      createdAt: milliseconds(status.createdAt),
      config,
    };
    this.#known.set(id, sandbox);
    return sandbox;
  }

  #keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }
}

export function asPodSandbox(known: OciSandbox): PodSandbox {
  const { config, ...sandbox } = known;
  // Only who calls the CRI has a use for the configuration.
  void config;
  return sandbox;
}

function knownOf(sandbox: OciSandbox): KnownSandbox {
  const { name, namespace, uid, attempt, ip, networkNamespace, config, state } = sandbox;
  return {
    name,
    namespace,
    uid,
    attempt,
    ip: config.host?.network === true ? "" : ip,
    ...(networkNamespace === undefined ? {} : { networkNamespace }),
    hostPorts: config.hostPorts ?? [],
    ready: state === "ready",
  };
}

/** containerd tells the whole specification of the sandbox's first process. */
function namespaceIn(info: string | undefined): string | undefined {
  if (info === undefined) return undefined;
  const told: {
    runtimeSpec?: { linux?: { namespaces?: readonly { type: string; path?: string }[] } };
  } = JSON.parse(info);
  const namespaces = told.runtimeSpec?.linux?.namespaces ?? [];
  return namespaces.find(({ type }) => type === "network")?.path;
}

function unlessGone(error: unknown): void {
  if (error instanceof CriError && error.isNotFound) return;
  throw asRuntimeError(error, "start-failed");
}
