import { type KubeObject, parseRfc3339, rfc3339 } from "../apimachinery/index.ts";
import { unreachable } from "../lib/index.ts";
import type { DeleteRequest, PropagationPolicy } from "./resource-registry.ts";
import type { Strategy } from "./strategy.ts";

/** What a DELETE does to an object. */
export type DeletionPlan =
  | { readonly action: "remove" }
  /** The object stays for now, in this new state. */
  | { readonly action: "mark"; readonly object: KubeObject }
  /** Its deletion has begun before and nothing about it changes. */
  | { readonly action: "wait" };

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";

/**
 * Decides what deleting an object means now.
 * @param object a copy; becomes the object of a "mark"
 * @param now milliseconds since the Unix epoch
 */
export function planDeletion(
  object: KubeObject,
  request: DeleteRequest,
  strategy: Strategy,
  now: number,
): DeletionPlan {
  const { metadata } = object;
  const deleting = metadata.deletionTimestamp !== undefined;
  if (!deleting) strategy.prepareForDelete?.(object, now);
  const finalizersChange = setFinalizers(object, request.propagationPolicy);
  const held = (metadata.finalizers ?? []).length > 0 || strategy.holds?.(object) === true;
  if (deleting) {
    if (shortenGrace(object, request)) {
      return metadata.deletionGracePeriodSeconds === 0 && !held
        ? { action: "remove" }
        : { action: "mark", object };
    }
    if (!held && (metadata.deletionGracePeriodSeconds ?? 0) === 0) return { action: "remove" };
    return finalizersChange ? { action: "mark", object } : { action: "wait" };
  }
  const grace = strategy.gracePeriodSeconds?.(object, request.gracePeriodSeconds) ?? 0;
  if (!held && grace === 0) return { action: "remove" };
  metadata.deletionTimestamp = rfc3339(now + grace * 1000);
  metadata.deletionGracePeriodSeconds = grace;
  if (metadata.generation !== undefined) metadata.generation += 1;
  strategy.beginDeletion?.(object);
  return { action: "mark", object };
}

/** Whether nothing keeps an object any more whose deletion has begun. */
export function isDoneDeleting(object: Readonly<KubeObject>, strategy: Strategy): boolean {
  const { metadata } = object;
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers ?? []).length === 0 &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    strategy.holds?.(object) !== true
  );
}

/** A later DELETE may only bring the end nearer. */
function shortenGrace({ metadata }: KubeObject, request: DeleteRequest): boolean {
  const before = metadata.deletionGracePeriodSeconds ?? 0;
  const requested = request.gracePeriodSeconds;
  if (requested === undefined || requested >= before) return false;
  const endMs = parseRfc3339(metadata.deletionTimestamp ?? "");
  const grace = Math.max(requested, 0);
  metadata.deletionTimestamp = rfc3339(endMs - (before - grace) * 1000);
  metadata.deletionGracePeriodSeconds = grace;
  return true;
}

/** Finalizers that the garbage collector serves; absent policy leaves them as they are. */
function setFinalizers({ metadata }: KubeObject, policy: PropagationPolicy | undefined): boolean {
  if (policy === undefined) return false;
  const before = metadata.finalizers ?? [];
  const others = before.filter((name) => name !== ORPHAN && name !== FOREGROUND);
  const after = [...others, ...finalizersOf(policy)];
  if (after.length === before.length && after.every((name) => before.includes(name))) return false;
  if (after.length === 0) delete metadata.finalizers;
  else metadata.finalizers = after;
  return true;
}

function finalizersOf(policy: PropagationPolicy): string[] {
  switch (policy) {
    case "Orphan":
      return [ORPHAN];
    case "Foreground":
      return [FOREGROUND];
    case "Background":
      return [];
    default:
      return unreachable(policy);
  }
}
