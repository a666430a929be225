import { rfc3339 } from "../../apimachinery/index.ts";
import type { Namespace, NamespaceCondition } from "../../api/index.ts";
import { deepEqual } from "../deep-equal.ts";

/** The finalizer in `spec.finalizers` that is this controller's to take away. */
export const KUBERNETES_FINALIZER = "kubernetes";

/** What one round of deleting the content of a namespace has found. */
export interface DeletionRound {
  /** Group-versions that could not be read. */
  readonly discoveryFailures: readonly string[];
  /** Deletions that failed, as text. */
  readonly deletionFailures: readonly string[];
  /** Objects left, by resource: `pods.` or `deployments.apps`. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Objects left that wait for this finalizer. */
  readonly finalizers: ReadonlyMap<string, number>;
}

export type NamespaceAction =
  | { readonly type: "conditions"; readonly conditions: readonly NamespaceCondition[] }
  /** Nothing is left: the namespace may go. */
  | { readonly type: "finalize"; readonly finalizers: readonly string[] }
  | { readonly type: "look-again" };

/** What follows from a round of deletion: done, or told and tried again. */
export function planNamespaceDeletion(
  namespace: Namespace,
  round: DeletionRound,
  nowMs: number,
): readonly NamespaceAction[] {
  const conditions = conditionsOf(namespace, round, nowMs);
  const told: NamespaceAction[] = deepEqual(conditions, namespace.status?.conditions ?? [])
    ? []
    : [{ type: "conditions", conditions }];
  const failed = round.discoveryFailures.length + round.deletionFailures.length > 0;
  if (failed || round.remaining.size > 0) return [...told, { type: "look-again" }];
  const finalizers = (namespace.spec?.finalizers ?? []).filter(
    (finalizer) => finalizer !== KUBERNETES_FINALIZER,
  );
  return [{ type: "finalize", finalizers }];
}

interface Told {
  readonly type: string;
  readonly fails: boolean;
  readonly reasons: readonly [well: string, failing: string];
  readonly messages: readonly [well: string, failing: string];
}

function conditionsOf(
  namespace: Namespace,
  round: DeletionRound,
  nowMs: number,
): readonly NamespaceCondition[] {
  const { discoveryFailures, deletionFailures, remaining, finalizers } = round;
  const all: readonly Told[] = [
    {
      type: "NamespaceDeletionDiscoveryFailure",
      fails: discoveryFailures.length > 0,
      reasons: ["ResourcesDiscovered", "DiscoveryFailed"],
      messages: [
        "All resources successfully discovered",
        `Discovery failed for some groups, ${numbered("failing", discoveryFailures)}`,
      ],
    },
    {
      type: "NamespaceDeletionGroupVersionParsingFailure",
      fails: false,
      reasons: ["ParsedGroupVersions", "GroupVersionParsingFailed"],
      messages: ["All legacy kube types successfully parsed", ""],
    },
    {
      type: "NamespaceDeletionContentFailure",
      fails: deletionFailures.length > 0,
      reasons: ["ContentDeleted", "ContentDeletionFailed"],
      messages: [
        "All content successfully deleted, may be waiting on finalization",
        `Failed to delete all resource types, ${numbered("remaining", deletionFailures)}`,
      ],
    },
    {
      type: "NamespaceContentRemaining",
      fails: remaining.size > 0,
      reasons: ["ContentRemoved", "SomeResourcesRemain"],
      messages: [
        "All content successfully removed",
        `Some resources are remaining: ${listed(remaining, "has", "resource instances")}`,
      ],
    },
    {
      type: "NamespaceFinalizersRemaining",
      fails: finalizers.size > 0,
      reasons: ["ContentHasNoFinalizers", "SomeFinalizersRemain"],
      messages: [
        "All content-preserving finalizers finished",
        "Some content in the namespace has finalizers remaining: " +
          listed(finalizers, "in", "resource instances"),
      ],
    },
  ];
  return all.map((told) => condition(namespace, told, nowMs));
}

function numbered(what: string, texts: readonly string[]): string {
  return `${texts.length} ${what}: ${texts.join(", ")}`;
}

function listed(counts: ReadonlyMap<string, number>, verb: string, what: string): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${verb} ${count} ${what}`)
    .join(", ");
}

function condition(namespace: Namespace, told: Told, nowMs: number): NamespaceCondition {
  const { type, fails, reasons, messages } = told;
  const current = namespace.status?.conditions?.find((one) => one.type === type);
  const status = fails ? "True" : "False";
  const reason = reasons[fails ? 1 : 0];
  const message = messages[fails ? 1 : 0];
  const same = current?.status === status;
  const lastTransitionTime = same ? (current.lastTransitionTime ?? "") : rfc3339(nowMs);
  return { type, status, lastTransitionTime, reason, message };
}
