import type { Node } from "../../api/index.ts";
import { isNotFound, NODES } from "../../client/index.ts";
import type { EventRecorder, Informer } from "../../client/index.ts";
import { unreachable } from "../../lib/index.ts";
import { recorderFor } from "../controller-context.ts";
import type { ControllerContext } from "../controller-context.ts";
import { OwnWrites } from "../own-writes.ts";
import { runController } from "../run-controller.ts";
import { NODE_PREFIX_LENGTH, planNodeRanges } from "./plan.ts";
import type { NodeIpamAction } from "./plan.ts";

export interface NodeIpamOptions {
  /** The range of all pods. */
  readonly clusterCidr: string;
  readonly prefixLength?: number;
}

/** All nodes are looked at together: one key stands for them. */
const ALL_NODES = "nodes";
/** Deleted nodes free ranges; meanwhile an exhausted cluster is looked at this often. */
const EXHAUSTED_RETRY_MS = 60_000;

/** Gives every node a range of pod addresses that no other node has. */
export function startNodeIpamController(
  context: ControllerContext,
  options: NodeIpamOptions,
): void {
  new NodeIpamController(context, options).start();
}

class NodeIpamController {
  readonly #context: ControllerContext;
  readonly #options: NodeIpamOptions;
  readonly #nodes: Informer<Node>;
  readonly #writes: OwnWrites<Node>;
  readonly #recorder: EventRecorder;
  #last: string | undefined;

  constructor(context: ControllerContext, options: NodeIpamOptions) {
    this.#context = context;
    this.#options = options;
    this.#nodes = context.informers.for(NODES);
    this.#writes = new OwnWrites(this.#nodes);
    this.#recorder = recorderFor(context, "node-ipam-controller");
  }

  start(): void {
    const queue = runController(this.#context, {
      name: "nodeipam",
      // What is free is decided over all nodes at once.
      concurrency: 1,
      informers: [this.#nodes],
      allKeys: () => [ALL_NODES],
      reconcile: () => this.#reconcile(),
    });
    const look = (): void => {
      queue.add(ALL_NODES);
    };
    this.#nodes.addHandler({
      onAdd: look,
      onUpdate: (old, node) => {
        if (old.spec?.podCIDR !== node.spec?.podCIDR) look();
      },
      onDelete: look,
    });
  }

  async #reconcile(): Promise<{ requeueAfterMs?: number }> {
    const { clusterCidr, prefixLength = NODE_PREFIX_LENGTH } = this.#options;
    const nodes = this.#writes.list(this.#nodes.lister.list(), () => true);
    const last = this.#last === undefined ? {} : { last: this.#last };
    const actions = planNodeRanges({ nodes, clusterCidr, prefixLength, ...last });
    for (const action of actions) await this.#do(action);
    const exhausted = actions.some(({ type }) => type === "tell-exhausted");
    return exhausted ? { requeueAfterMs: EXHAUSTED_RETRY_MS } : {};
  }

  async #do(action: NodeIpamAction): Promise<void> {
    switch (action.type) {
      case "give":
        await this.#give(action.node, action.podCidr);
        break;
      case "tell-exhausted": {
        const { name = "" } = action.node.metadata;
        const message = `Node ${name} has no pod addresses: every range of the cluster is taken`;
        this.#tell(action.node, "CIDRNotAvailable", message);
        break;
      }
      case "tell-overlap": {
        const { node, other } = action;
        const message =
          `Node ${node.metadata.name} has the pod range ${node.spec?.podCIDR}, which overlaps ` +
          `with that of node ${other.metadata.name}: delete one of the two`;
        this.#tell(node, "CIDRAssignmentFailed", message);
        break;
      }
      default:
        unreachable(action);
    }
  }

  async #give({ metadata }: Node, podCidr: string): Promise<void> {
    const { name = "", uid } = metadata;
    // A range once given cannot be changed: that is checked where it is written.
    const patch = { metadata: { uid }, spec: { podCIDR: podCidr, podCIDRs: [podCidr] } };
    try {
      const given = await this.#context.client
        .resource(NODES)
        .patch(name, patch, { type: "merge" });
      this.#last = podCidr;
      this.#writes.wrote(given);
    } catch (error) {
      // A node that is gone needs none.
      if (!isNotFound(error)) throw error;
    }
  }

  #tell(node: Node, reason: string, message: string): void {
    const about = { ...node, apiVersion: "v1", kind: "Node" };
    this.#recorder.event(about, "Warning", reason, message);
  }
}
