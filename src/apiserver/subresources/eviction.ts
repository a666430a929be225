import {
  type Eviction,
  findResource,
  type Pod,
  type PodDisruptionBudget,
} from "../../api/index.ts";
import {
  badRequest,
  internalError,
  labelSelectorFrom,
  matchesLabels,
  rfc3339,
  successStatus,
  tooManyRequests,
} from "../../apimachinery/index.ts";
import { assert } from "../../lib/index.ts";
import type { DeleteRequest, ResourceRegistry } from "../../registry/index.ts";
import { answerObject } from "../answer.ts";
import type { ApiRequest } from "../api-request.ts";
import { admittedDeletion, deleteRequestOf } from "../delete-handler.ts";
import { writeQueryOf } from "../query-options.ts";
import { readTyped, type SentKind } from "../typed-body.ts";

const EVICTION: SentKind = {
  kind: "Eviction",
  apiVersion: "policy/v1",
  typeName: "policy.v1.Eviction",
};
const CREATED = 201;
const STALE_RETRY_SECONDS = 10;
const CANNOT_EVICT = "Cannot evict pod as it would violate the pod's disruption budget.";

/** POST of an Eviction: deletes a pod unless its disruption budget says no. */
export async function evictPod(api: ApiRequest): Promise<Response> {
  const eviction = await readTyped<Eviction>(api.request, EVICTION);
  const name = api.target.name;
  if ((eviction.metadata.name ?? name) !== name) {
    throw badRequest("name in URL does not match name in Eviction object");
  }
  const { dryRun } = writeQueryOf(api.query, "CreateOptions");
  const given = deleteRequestOf(eviction.deleteOptions ?? {});
  // Either place can say that it is a rehearsal.
  const rehearsed = { ...given, dryRun: dryRun || given.dryRun === true };
  const request = await admittedDeletion(api, rehearsed);
  const stored = await api.resource.get(api.namespace, name);
  const pod = stored.object as Pod;
  if (isBudgeted(pod)) await spendBudget(api, pod, request);
  await api.resource.delete(api.namespace, name, request);
  return answerObject(successStatus(), api.media, { status: CREATED });
}

/** A pod that has ended, not begun or is on its way out disrupts nothing. */
function isBudgeted({ metadata, status }: Pod): boolean {
  const phase = status?.phase ?? "";
  return (
    metadata.deletionTimestamp === undefined && !["Succeeded", "Failed", "Pending"].includes(phase)
  );
}

async function spendBudget(api: ApiRequest, pod: Pod, request: DeleteRequest): Promise<void> {
  const definition = findResource("policy", "v1", "poddisruptionbudgets");
  assert(definition !== undefined, "poddisruptionbudgets are served");
  const budgets = api.context.registry.resource(definition);
  const list = await budgets.list({ namespace: api.namespace });
  const matching = list.items
    .map((item) => item.object as PodDisruptionBudget)
    .filter(({ spec }) => spec?.selector !== undefined)
    .filter(({ spec }) => matchesLabels(labelSelectorFrom(spec?.selector), pod.metadata.labels));
  const [budget] = matching;
  if (budget === undefined) return;
  if (matching.length > 1) {
    throw internalError(
      "This pod has more than one PodDisruptionBudget, " +
        "which the eviction subresource does not support.",
    );
  }
  if (!isReady(pod) && isFree(budget)) return;
  await spendOne(api, budgets, budget, pod, request);
}

function isReady({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(
    (condition) => condition.type === "Ready" && condition.status === "True",
  );
}

/** Whether a pod that is not ready may go without a disruption being drawn from the budget. */
function isFree({ spec, status }: PodDisruptionBudget): boolean {
  if (spec?.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

async function spendOne(
  { namespace, context }: ApiRequest,
  budgets: ResourceRegistry,
  budget: PodDisruptionBudget,
  pod: Pod,
  { dryRun }: DeleteRequest,
): Promise<void> {
  const podName = pod.metadata.name ?? "";
  const now = rfc3339(context.clock.now());
  const change = (current: unknown): PodDisruptionBudget => {
    const latest = current as PodDisruptionBudget;
    const { status } = latest;
    const stale = (status?.observedGeneration ?? 0) < (latest.metadata.generation ?? 0);
    const allowed = status?.disruptionsAllowed ?? 0;
    if (status === undefined || stale || allowed < 1) throw refusal(latest);
    return {
      ...latest,
      status: {
        ...status,
        disruptionsAllowed: allowed - 1,
        disruptedPods: { ...status.disruptedPods, [podName]: now },
      },
    };
  };
  const name = budget.metadata.name ?? "";
  const options = { scope: "status", retryConflicts: true, dryRun: dryRun === true } as const;
  await budgets.update(namespace, name, change, options);
}

function refusal({ metadata, status }: PodDisruptionBudget): Error {
  const isStale = (status?.observedGeneration ?? 0) < (metadata.generation ?? 0);
  const error = tooManyRequests(CANNOT_EVICT, isStale ? STALE_RETRY_SECONDS : 0);
  const details = { causes: [{ reason: "DisruptionBudget", message: causeOf(metadata, status) }] };
  error.status.details = { ...error.status.details, ...details };
  return error;
}

function causeOf(
  { name, generation = 0 }: PodDisruptionBudget["metadata"],
  status: PodDisruptionBudget["status"],
): string {
  if ((status?.observedGeneration ?? 0) < generation) {
    return `The disruption budget ${name} is still being processed by the server.`;
  }
  const failed = status?.conditions?.find(({ reason }) => reason === "SyncFailed");
  if (failed !== undefined) {
    const why = `because it failed sync: ${failed.message}`;
    return `The disruption budget ${name} does not allow evicting pods currently ${why}`;
  }
  const needs = `needs ${status?.desiredHealthy ?? 0} healthy pods`;
  return `The disruption budget ${name} ${needs} and has ${status?.currentHealthy ?? 0} currently`;
}
