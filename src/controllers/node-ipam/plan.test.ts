import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Node } from "../../api/index.ts";
import { NODES } from "../../client/index.ts";
import { toyNode, ToyCluster } from "../testing/toy-cluster.ts";
import { runTranscript } from "../testing/transcript.ts";
import { NODE_PREFIX_LENGTH, planNodeRanges } from "./plan.ts";

/** Nodes and plans as a transcript's lines tell of them; what a plan gives stays given. */
function rangesScript(): (line: string) => string {
  let clusterCidr = "";
  let last: string | undefined;
  const nodes = new Map<string, Node>();
  return (line) => {
    const [verb = "", name = "", ...rest] = line.split(" ");
    const words = new Map([name, ...rest].map((word) => word.split("=") as [string, string]));
    switch (verb) {
      case "cluster":
        clusterCidr = name;
        last = undefined;
        nodes.clear();
        return "";
      case "forget":
        nodes.delete(name);
        return "";
      case "node": {
        const podCIDR = words.get("range");
        const metadata = {
          name,
          creationTimestamp: `2026-01-01T00:00:${(words.get("born") ?? "0").padStart(2, "0")}Z`,
          ...(words.has("deleted") ? { deletionTimestamp: "2026-01-02T00:00:00Z" } : {}),
        };
        nodes.set(name, { metadata, spec: podCIDR === undefined ? {} : { podCIDR } });
        return "";
      }
      default:
        return plan({ clusterCidr, nodes, last }, (given) => {
          last = given;
        });
    }
  };
}

function plan(
  world: { clusterCidr: string; nodes: Map<string, Node>; last: string | undefined },
  gave: (podCidr: string) => void,
): string {
  const { clusterCidr, nodes, last } = world;
  const actions = planNodeRanges({
    nodes: [...nodes.values()],
    clusterCidr,
    prefixLength: NODE_PREFIX_LENGTH,
    ...(last === undefined ? {} : { last }),
  });
  const lines = actions.map((action) => {
    const { name = "" } = action.node.metadata;
    if (action.type === "tell-exhausted") return `${name}: exhausted`;
    if (action.type === "tell-overlap") return `${name}: overlaps ${action.other.metadata.name}`;
    nodes.set(name, { ...action.node, spec: { podCIDR: action.podCidr } });
    gave(action.podCidr);
    return `${name}: ${action.podCidr}`;
  });
  return lines.length === 0 ? "nothing" : lines.join("\n");
}

describe("planNodeRanges", () => {
  test("planNodeRanges: every node gets a range that no other has", () => {
    const path = join(import.meta.dir, "testdata", "ranges.txt");
    const { expected, actual } = runTranscript(path, rangesScript());
    expect(actual).toBe(expected);
  });
});

describe("startNodeIpamController", () => {
  test("startNodeIpamController: nodes that come get ranges, the last ones an event", async () => {
    const cluster = new ToyCluster({ nodes: [], clusterCidr: "127.42.0.0/18" });
    const first = toyNode("first");
    cluster.seed(NODES, { ...first, spec: { podCIDR: "127.42.16.0/20" } });
    for (const name of ["a", "b", "c", "d"]) cluster.seed(NODES, toyNode(name));
    await cluster.run(1000);
    const ranges = cluster.all<Node>(NODES).flatMap(({ spec }) => spec?.podCIDR ?? []);
    expect(ranges.sort()).toEqual([
      "127.42.0.0/20",
      "127.42.16.0/20",
      "127.42.32.0/20",
      "127.42.48.0/20",
    ]);
    const without = cluster.all<Node>(NODES).find(({ spec }) => spec?.podCIDR === undefined);
    const { name } = without?.metadata ?? {};
    expect(cluster.events).toContain(
      `CIDRNotAvailable: Node ${name} has no pod addresses: every range of the cluster is taken`,
    );
    const [gone] = cluster.all<Node>(NODES).filter(({ metadata }) => metadata.name !== name);
    if (gone !== undefined) cluster.api.remove(NODES, gone);
    await cluster.run(1000);
    cluster.stop();
  });
});
