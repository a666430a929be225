import type { Lease, Node, NodeCondition, NodeStatus } from "../api/index.ts";
import { jsonEquals, rfc3339Micro } from "../apimachinery/index.ts";
import { isAlreadyExists, isNotFound, LEASES, NODES } from "../client/index.ts";
import { sleep } from "../lib/index.ts";
import type { KubeletOptions } from "./kubelet-options.ts";
import { nodeConditions, nodeFacts, nodeLabels, nodeObject } from "./node-status.ts";

export const LEASE_INTERVAL_MS = 10_000;
export const LEASE_DURATION_SECONDS = 40;
/** The status is told again this often, even when nothing changed. */
export const STATUS_INTERVAL_MS = 300_000;
const LEASE_NAMESPACE = "kube-node-lease";
const RETRY_INITIAL_MS = 200;
const RETRY_MAX_MS = 5000;

/** Keeps the node's object, its status and its lease. */
export class NodeRegistration {
  readonly #options: KubeletOptions;
  #uid: string | undefined;
  #told: NodeStatus | undefined;
  #toldAtMs = 0;
  #conditions: readonly NodeCondition[] = [];

  constructor(options: KubeletOptions) {
    this.#options = options;
  }

  /** Tries until the node is known to the API server, or the signal aborts. */
  async register(signal: AbortSignal): Promise<void> {
    for (let delayMs = RETRY_INITIAL_MS; !signal.aborted;) {
      try {
        await this.#ensureNode();
        await this.#tellStatus();
        await this.#renewLease();
        return;
      } catch (error) {
        this.#options.logger.warn("the node is not registered yet", { error: String(error) });
        await sleep(this.#options.clock, delayMs, signal);
        delayMs = Math.min(delayMs * 2, RETRY_MAX_MS);
      }
    }
  }

  /** Heartbeats until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#options.clock, LEASE_INTERVAL_MS, signal);
      if (signal.aborted) return;
      try {
        await this.#renewLease();
        if (await this.#statusIsDue()) await this.#tellStatus();
      } catch (error) {
        if (signal.aborted) return;
        this.#options.logger.warn("a node heartbeat failed", { error: String(error) });
        if (isNotFound(error)) await this.register(signal);
      }
    }
  }

  async #ensureNode(): Promise<void> {
    const nodes = this.#options.client.resource(NODES);
    const { nodeName } = this.#options;
    try {
      const created = await nodes.create(nodeObject(this.#options));
      this.#uid = created.metadata.uid;
      return;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const node = await nodes.get(nodeName);
    this.#uid = node.metadata.uid;
    this.#conditions = node.status?.conditions ?? [];
    await this.#bringUpToDate(node);
  }

  /** Labels of ours that changed, and the range when none was given yet; nothing else. */
  async #bringUpToDate(node: Node): Promise<void> {
    const labels = Object.entries(nodeLabels(this.#options)).filter(
      ([key, value]) => node.metadata.labels?.[key] !== value,
    );
    const spec = nodeObject(this.#options).spec;
    const patch = {
      ...(labels.length === 0 ? {} : { metadata: { labels: Object.fromEntries(labels) } }),
      ...(node.spec?.podCIDR === undefined ? { spec } : {}),
    };
    if (Object.keys(patch).length === 0) return;
    const nodes = this.#options.client.resource(NODES);
    await nodes.patch(this.#options.nodeName, patch, { type: "merge" });
  }

  async #facts(): Promise<NodeStatus> {
    return nodeFacts(this.#options, await this.#options.runtime.listImages());
  }

  async #statusIsDue(): Promise<boolean> {
    const { clock } = this.#options;
    if (clock.monotonic() - this.#toldAtMs >= STATUS_INTERVAL_MS) return true;
    return !jsonEquals(await this.#facts(), this.#told);
  }

  async #tellStatus(): Promise<void> {
    const { clock, client, nodeName } = this.#options;
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
  }

  async #renewLease(): Promise<void> {
    const { clock, client, nodeName } = this.#options;
    const leases = client.resource(LEASES, LEASE_NAMESPACE);
    const renewTime = rfc3339Micro(clock.now());
    try {
      await leases.patch(nodeName, { spec: { renewTime } }, { type: "merge" });
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
      await leases.create(lease);
    }
  }
}
