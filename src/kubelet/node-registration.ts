import type { Lease, Node, NodeCondition, NodeStatus } from "../api/index.ts";
import { jsonEquals, rfc3339Micro } from "../apimachinery/index.ts";
import {
  createInformer,
  type Informer,
  isAlreadyExists,
  isNotFound,
  LEASES,
  NODES,
} from "../client/index.ts";
import { sleep } from "../lib/index.ts";
import type { KubeletOptions } from "./kubelet-options.ts";
import {
  nodeAnnotations,
  nodeConditions,
  nodeFacts,
  nodeLabels,
  nodeObject,
} from "./node-status.ts";

export const LEASE_INTERVAL_MS = 10_000;
export const LEASE_DURATION_SECONDS = 40;
/** A renewal that takes longer is given up and tried again: the server may be gone silently. */
export const LEASE_CALL_TIMEOUT_MS = 10_000;
/** The status is told again this often, even when nothing changed. */
export const STATUS_INTERVAL_MS = 300_000;
const LEASE_NAMESPACE = "kube-node-lease";
const RETRY_INITIAL_MS = 200;
const RETRY_MAX_MS = 5000;
/** What fails again and again, of a node that was taken away for one, is told this often. */
export const WARN_AGAIN_MS = 60_000;

/** Keeps the node's object, its status and its lease. */
export class NodeRegistration {
  readonly #options: KubeletOptions;
  readonly #beforeReady: (signal: AbortSignal) => Promise<void>;
  readonly #node: Informer<Node>;
  #uid: string | undefined;
  #told: NodeStatus | undefined;
  #toldAtMs = 0;
  #conditions: readonly NodeCondition[] = [];
  #warned = { text: "", atMs: 0 };
  /** Resolves with each change of the node that asks for a heartbeat before its time. */
  #nudge = new AbortController();
  /** The API does not have the node as ready: somebody gave it up, or it never was. */
  #givenUp = true;

  /**
   * `beforeReady` runs each time before the node is told to be ready after it was not: what others
   * run in its place by now must have ended here.
   */
  constructor(options: KubeletOptions, beforeReady: (signal: AbortSignal) => Promise<void>) {
    this.#options = options;
    this.#beforeReady = beforeReady;
    const { client, clock, random, logger, nodeName } = options;
    const fieldSelector = `metadata.name=${nodeName}`;
    this.#node = createInformer(client, NODES, { clock, random, logger, fieldSelector });
    const look = (node: Node): void => this.#look(node);
    this.#node.addHandler({ onAdd: look, onUpdate: (_, node) => look(node) });
  }

  /** Tries until the node is known and the runtime has its range, or the signal aborts. */
  async register(signal: AbortSignal): Promise<void> {
    await this.#retry(signal, "the node is not registered yet", async () => {
      const node = await this.#ensureNode();
      await this.#renewLease(signal);
      await this.#takeRange(node, signal);
    });
  }

  /** Tries until the API has the node as ready, or the signal aborts. */
  async tellReady(signal: AbortSignal): Promise<void> {
    await this.#retry(signal, "the node's status is not told yet", () => this.#tellStatus(signal));
  }

  /** Heartbeats until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#node.start(signal);
    const { clock } = this.#options;
    for (;;) {
      await sleep(clock, LEASE_INTERVAL_MS, AbortSignal.any([signal, this.#nudge.signal]));
      if (this.#nudge.signal.aborted) this.#nudge = new AbortController();
      await this.#retry(signal, "a node heartbeat failed", () => this.#beat(signal));
      if (signal.aborted) return;
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    try {
      await this.#renewLease(signal);
      if (this.#givenUp || (await this.#statusIsDue())) await this.#tellStatus(signal);
    } catch (error) {
      // While nobody was reached the node may have been given up, or taken away altogether.
      this.#givenUp = true;
      if (isNotFound(error)) await this.register(signal);
      throw error;
    }
  }

  async #retry(signal: AbortSignal, what: string, attempt: () => Promise<void>): Promise<void> {
    const { clock } = this.#options;
    for (let delayMs = RETRY_INITIAL_MS; !signal.aborted;) {
      try {
        await attempt();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#warn(what, String(error));
        await sleep(clock, delayMs, signal);
        delayMs = Math.min(delayMs * 2, RETRY_MAX_MS);
      }
    }
  }

  #warn(what: string, error: string): void {
    const { clock, logger } = this.#options;
    const text = `${what}: ${error}`;
    const nowMs = clock.monotonic();
    if (text === this.#warned.text && nowMs - this.#warned.atMs < WARN_AGAIN_MS) return;
    this.#warned = { text, atMs: nowMs };
    logger.warn(what, { error });
  }

  async #ensureNode(): Promise<Node> {
    const nodes = this.#options.client.resource(NODES);
    const { nodeName } = this.#options;
    try {
      const created = await nodes.create(nodeObject(this.#options));
      this.#uid = created.metadata.uid;
      return created;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const node = await nodes.get(nodeName);
    this.#uid = node.metadata.uid;
    this.#conditions = node.status?.conditions ?? [];
    return this.#bringUpToDate(node);
  }

  /** Marks of ours that changed, and the range when none was given yet; nothing else. */
  async #bringUpToDate(node: Node): Promise<Node> {
    const labels = differing(nodeLabels(this.#options), node.metadata.labels);
    const annotations = differing(nodeAnnotations(this.#options), node.metadata.annotations);
    const metadata = {
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    };
    const { spec } = nodeObject(this.#options);
    const patch = {
      ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
      ...(node.spec?.podCIDR === undefined && spec !== undefined ? { spec } : {}),
    };
    if (Object.keys(patch).length === 0) return node;
    const nodes = this.#options.client.resource(NODES);
    return nodes.patch(this.#options.nodeName, patch, { type: "merge" });
  }

  /** The range is the cluster's to give: pods wait until the node has one. */
  async #takeRange(node: Node, signal: AbortSignal): Promise<void> {
    const { runtime, logger } = this.#options;
    let podCidr = node.spec?.podCIDR;
    if (podCidr === undefined) {
      logger.debug("the node waits for its range of pod addresses");
      podCidr = await this.#awaitRange(signal);
    }
    if (podCidr !== undefined) await runtime.updateRuntimeConfig({ podCidr });
  }

  async #awaitRange(signal: AbortSignal): Promise<string | undefined> {
    this.#node.start(signal);
    const found = Promise.withResolvers<string | undefined>();
    const look = ({ metadata, spec }: Node): void => {
      if (metadata.uid === this.#uid && spec?.podCIDR !== undefined) found.resolve(spec.podCIDR);
    };
    const forget = this.#node.addHandler({ onAdd: look, onUpdate: (_, node) => look(node) });
    const abort = (): void => found.resolve(undefined);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await found.promise;
    } finally {
      forget();
      signal.removeEventListener("abort", abort);
    }
  }

  /** Somebody wrote the node's object: given up although it lives, it says so at once. */
  #look(node: Node): void {
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    if (this.#told === undefined || ready?.status === "True") return;
    this.#givenUp = true;
    this.#nudge.abort();
  }

  async #facts(): Promise<NodeStatus> {
    return nodeFacts(this.#options, await this.#options.runtime.listImages());
  }

  async #statusIsDue(): Promise<boolean> {
    const { clock } = this.#options;
    if (clock.monotonic() - this.#toldAtMs >= STATUS_INTERVAL_MS) return true;
    return !jsonEquals(await this.#facts(), this.#told);
  }

  async #tellStatus(signal: AbortSignal): Promise<void> {
    const { clock, client, nodeName } = this.#options;
    if (this.#givenUp) await this.#beforeReady(signal);
    const facts = await this.#facts();
    const conditions = nodeConditions(this.#conditions, clock.now());
    await client.resource(NODES).patch(
      nodeName,
      { status: { ...facts, conditions } },
      {
        type: "strategic",
        subresource: "status",
      },
    );
    this.#told = facts;
    this.#toldAtMs = clock.monotonic();
    this.#conditions = conditions;
    this.#givenUp = false;
  }

  async #renewLease(closing: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const timeout = new AbortController();
    const why = new Error(`the lease was not renewed within ${LEASE_CALL_TIMEOUT_MS} ms`);
    const cancel = clock.after(LEASE_CALL_TIMEOUT_MS, () => timeout.abort(why));
    try {
      await this.#putLease(AbortSignal.any([closing, timeout.signal]));
    } finally {
      cancel();
    }
  }

  async #putLease(signal: AbortSignal): Promise<void> {
    const { clock, client, nodeName } = this.#options;
    const leases = client.resource(LEASES, LEASE_NAMESPACE);
    const renewTime = rfc3339Micro(clock.now());
    try {
      await leases.patch(nodeName, { spec: { renewTime } }, { type: "merge", signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const lease: Lease = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: {
          name: nodeName,
          namespace: LEASE_NAMESPACE,
          ownerReferences: [
            { apiVersion: "v1", kind: "Node", name: nodeName, uid: this.#uid ?? "" },
          ],
        },
        spec: { holderIdentity: nodeName, leaseDurationSeconds: LEASE_DURATION_SECONDS, renewTime },
      };
      await leases.create(lease, { signal });
    }
  }
}

/** The wanted entries that are not there as wanted; undefined when all are. */
function differing(
  wanted: Readonly<Record<string, string>>,
  known: Readonly<Record<string, string>> = {},
): Record<string, string> | undefined {
  const found = Object.entries(wanted).filter(([key, value]) => known[key] !== value);
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
