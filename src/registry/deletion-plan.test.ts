import { expect, test } from "bun:test";
import type { KubeObject, ObjectMeta } from "../apimachinery/index.ts";
import { isDoneDeleting, planDeletion } from "./deletion-plan.ts";
import type { DeleteRequest } from "./resource-registry.ts";
import { podStrategy } from "./strategies/pod-strategy.ts";
import type { Strategy } from "./strategy.ts";

const NOW = Date.UTC(2026, 0, 1);

function plan(metadata: ObjectMeta, request: DeleteRequest = {}, strategy: Strategy = {}): string {
  const object: KubeObject = { metadata: { name: "x", ...metadata }, spec: { nodeName: "n" } };
  const decided = planDeletion(object, request, strategy, NOW);
  if (decided.action !== "mark") return decided.action;
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = decided.object.metadata;
  return `mark ${deletionTimestamp} ${deletionGracePeriodSeconds} ${finalizers?.join("+") ?? "-"}`;
}

const BEGUN = { deletionTimestamp: "2026-01-01T00:00:30Z", deletionGracePeriodSeconds: 30 };
const HELD = { deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: 0 };

test("planDeletion: removes what nothing holds", () => {
  expect(plan({})).toBe("remove");
  expect(plan({ finalizers: ["foregroundDeletion"] }, { propagationPolicy: "Background" })).toBe(
    "remove",
  );
});

test("planDeletion: marks what a finalizer holds, once", () => {
  expect(plan({ finalizers: ["f"] })).toBe("mark 2026-01-01T00:00:00Z 0 f");
  expect(plan({ finalizers: ["f"], ...HELD })).toBe("wait");
  expect(plan({ finalizers: ["f"], ...HELD }, { gracePeriodSeconds: 0 })).toBe("wait");
  expect(plan({ ...HELD })).toBe("remove");
});

test("planDeletion: turns policies into finalizers, and into each other", () => {
  expect(plan({}, { propagationPolicy: "Orphan" })).toBe("mark 2026-01-01T00:00:00Z 0 orphan");
  const foreground = { propagationPolicy: "Foreground" } as const;
  expect(plan({ finalizers: ["orphan", "f"], ...HELD }, foreground)).toBe(
    "mark 2026-01-01T00:00:00Z 0 f+foregroundDeletion",
  );
});

test("planDeletion: gives pods their time, and shortens it only", () => {
  expect(plan({}, { gracePeriodSeconds: 10 }, podStrategy)).toBe("mark 2026-01-01T00:00:10Z 10 -");
  expect(plan({}, { gracePeriodSeconds: -1 }, podStrategy)).toBe("mark 2026-01-01T00:00:01Z 1 -");
  expect(plan(BEGUN, {}, podStrategy)).toBe("wait");
  expect(plan(BEGUN, { gracePeriodSeconds: 31 }, podStrategy)).toBe("wait");
  expect(plan(BEGUN, { gracePeriodSeconds: 3 }, podStrategy)).toBe("mark 2026-01-01T00:00:03Z 3 -");
  expect(plan(BEGUN, { gracePeriodSeconds: 0 }, podStrategy)).toBe("remove");
  expect(plan({ ...BEGUN, finalizers: ["f"] }, { gracePeriodSeconds: 0 }, podStrategy)).toBe(
    "mark 2026-01-01T00:00:00Z 0 f",
  );
});

test("isDoneDeleting: when the deletion has begun and nothing holds any more", () => {
  expect(isDoneDeleting({ metadata: {} }, {})).toBe(false);
  expect(isDoneDeleting({ metadata: { ...HELD } }, {})).toBe(true);
  expect(isDoneDeleting({ metadata: { ...HELD, finalizers: ["f"] } }, {})).toBe(false);
  expect(isDoneDeleting({ metadata: { ...BEGUN } }, {})).toBe(false);
  expect(isDoneDeleting({ metadata: { ...HELD } }, { holds: () => true })).toBe(false);
});
