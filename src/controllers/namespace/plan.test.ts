import { describe, expect, test } from "bun:test";
import type { Namespace } from "../../api/index.ts";
import { planNamespaceDeletion } from "./plan.ts";
import type { DeletionRound } from "./plan.ts";

const nowMs = Date.UTC(2026, 0, 1);
const namespace: Namespace = {
  metadata: { name: "team", deletionTimestamp: "2026-01-01T00:00:00Z" },
  spec: { finalizers: ["kubernetes", "example.com/mine"] },
};

const round = (change: Partial<DeletionRound> = {}): DeletionRound => ({
  discoveryFailures: [],
  deletionFailures: [],
  remaining: new Map(),
  finalizers: new Map(),
  ...change,
});

function told(of: DeletionRound): string[] {
  const [action] = planNamespaceDeletion(namespace, of, nowMs);
  if (action?.type !== "conditions") return [];
  return action.conditions
    .filter(({ status }) => status === "True")
    .map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

describe("planNamespaceDeletion", () => {
  test("planNamespaceDeletion: an empty namespace is let go, others' finalizers stay", () => {
    expect(planNamespaceDeletion(namespace, round(), nowMs)).toContainEqual({
      type: "finalize",
      finalizers: ["example.com/mine"],
    });
  });

  test("planNamespaceDeletion: says what is left and who holds it", () => {
    const remaining = new Map([
      ["pods.", 2],
      ["deployments.apps", 1],
    ]);
    const finalizers = new Map([["example.com/x", 1]]);
    expect(told(round({ remaining, finalizers }))).toEqual([
      "NamespaceContentRemaining SomeResourcesRemain: Some resources are remaining: " +
        "deployments.apps has 1 resource instances, pods. has 2 resource instances",
      "NamespaceFinalizersRemaining SomeFinalizersRemain: Some content in the namespace has " +
        "finalizers remaining: example.com/x in 1 resource instances",
    ]);
  });

  test("planNamespaceDeletion: what could not be read or deleted keeps the namespace", () => {
    for (const change of [{ discoveryFailures: ["v9: no"] }, { deletionFailures: ["pods.: no"] }]) {
      const actions = planNamespaceDeletion(namespace, round(change), nowMs);
      expect(actions.map(({ type }) => type)).toEqual(["conditions", "look-again"]);
      expect(told(round(change)).length).toBe(1);
    }
  });

  test("planNamespaceDeletion: the same again is not told again", () => {
    const remaining = new Map([["pods.", 2]]);
    const [first] = planNamespaceDeletion(namespace, round({ remaining }), nowMs);
    const conditions = first?.type === "conditions" ? [...first.conditions] : [];
    const known = { ...namespace, status: { conditions } };
    expect(planNamespaceDeletion(known, round({ remaining }), nowMs + 5000)).toEqual([
      { type: "look-again" },
    ]);
  });
});
