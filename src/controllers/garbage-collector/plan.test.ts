import { describe, expect, test } from "bun:test";
import type { DiscoveredResource } from "../../client/index.ts";
import type { GraphNode } from "./graph.ts";
import { OwnerGraph } from "./graph.ts";
import { planCollection } from "./plan.ts";
import type { OwnerState } from "./plan.ts";

const resource = { group: "", version: "v1", resource: "pods" } as DiscoveredResource;

function node(uid: string, change: Partial<GraphNode> = {}): GraphNode {
  return {
    resource,
    namespace: "default",
    name: uid,
    uid,
    resourceVersion: "1",
    owners: [],
    finalizers: [],
    isDeleting: false,
    ...change,
  };
}

const owner = (uid: string, blockOwnerDeletion = true) => ({
  apiVersion: "v1",
  kind: "Pod",
  name: uid,
  uid,
  blockOwnerDeletion,
});

function decide(states: readonly OwnerState[], change: Partial<GraphNode> = {}, dependents = 0) {
  const owners = states.map((state, index) => ({ reference: owner(`o${index}`), state }));
  const children = Array.from({ length: dependents }, (_, index) =>
    node(`d${index}`, { owners: [owner("x", index % 2 === 0)] }),
  );
  const references = owners.map(({ reference }) => reference);
  const observed = node("x", { owners: references, ...change });
  return planCollection({ node: observed, owners, dependents: children });
}

describe("planCollection", () => {
  test("planCollection: an object goes when none of its owners is left", () => {
    const background = [{ type: "delete", propagationPolicy: "Background" }];
    expect(decide([])).toEqual([]);
    expect(decide(["exists"])).toEqual([]);
    expect(decide(["absent"])).toEqual(background as never);
    expect(decide(["absent", "absent"])).toEqual(background as never);
    expect(decide(["deleting-dependents"])).toEqual(background as never);
  });

  test("planCollection: while one owner is left, the others are dropped from its list", () => {
    expect(decide(["absent", "exists", "deleting-dependents"])).toEqual([
      { type: "disown", ownerUids: ["o0", "o2"] },
    ]);
  });

  test("planCollection: an owner nobody can judge saves its dependents", () => {
    expect(decide(["unknown", "absent"])).toEqual([{ type: "look-again" }]);
    expect(decide(["unknown", "exists"])).toEqual([]);
  });

  test("planCollection: what waits for its own dependents goes in the foreground too", () => {
    expect(decide(["deleting-dependents"], {}, 1)).toEqual([
      { type: "delete", propagationPolicy: "Foreground" },
    ]);
  });

  test("planCollection: foreground deletion waits for the dependents that block", () => {
    const change = { isDeleting: true, finalizers: ["foregroundDeletion"] };
    const [action] = decide([], change, 3);
    expect(action?.type === "collect" && action.dependents.map(({ uid }) => uid)).toEqual([
      "d0",
      "d2",
    ]);
    expect(decide([], change)).toEqual([
      { type: "remove-finalizer", finalizer: "foregroundDeletion" },
    ]);
  });

  test("planCollection: orphaning lets the dependents go, then the object", () => {
    const change = { isDeleting: true, finalizers: ["orphan"] };
    expect(decide([], change, 2).map(({ type }) => type)).toEqual([
      "orphan-dependents",
      "remove-finalizer",
    ]);
  });

  test("planCollection: what is on its way out already is left alone", () => {
    expect(decide(["absent"], { isDeleting: true, finalizers: ["example.com/x"] })).toEqual([]);
  });
});

describe("OwnerGraph", () => {
  test("OwnerGraph: follows owners as they change", () => {
    const graph = new OwnerGraph();
    graph.set(node("a", { owners: [owner("x"), owner("y")] }));
    graph.set(node("b", { owners: [owner("x")] }));
    expect(graph.dependentsOf("x").map(({ uid }) => uid)).toEqual(["a", "b"]);
    graph.set(node("a", { owners: [owner("y")] }));
    expect(graph.dependentsOf("x").map(({ uid }) => uid)).toEqual(["b"]);
    graph.delete("b");
    expect(graph.dependentsOf("x")).toEqual([]);
    expect(graph.dependentsOf("y").map(({ uid }) => uid)).toEqual(["a"]);
    expect(graph.size).toBe(1);
  });
});
