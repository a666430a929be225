import { jsonEquals, type KubeObject } from "../apimachinery/index.ts";
import { unreachable } from "../lib/index.ts";
import type { KindTraits } from "./kind-traits.ts";
import type { UpdateOptions, WriteScope } from "./resource-registry.ts";
import { part } from "./strategy.ts";

/** What the server alone writes into metadata after the creation. */
const SYSTEM_FIELDS = [
  "namespace",
  "generateName",
  "selfLink",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
] as const;

/**
 * The object that a write results in: of what the client sent, the part that its endpoint may
 * touch, and the rest as it was. Mutates and returns `next`.
 */
export function applyScope(
  next: KubeObject,
  old: Readonly<KubeObject>,
  scope: WriteScope,
  traits: KindTraits,
): KubeObject {
  keepSystemFields(next, old);
  switch (scope) {
    case "object":
      if (traits.hasStatus) restore(next, old, "status");
      return next;
    case "binding":
      return next;
    case "status":
      return withStatus(next, old, traits);
    case "finalize":
      return withSpec(old, { finalizers: part(next, "spec").finalizers });
    case "ephemeralcontainers": {
      const { ephemeralContainers } = part(next, "spec");
      return withSpec(old, { ephemeralContainers });
    }
    default:
      return unreachable(scope);
  }
}

/** What validation compares a write with: what its own endpoint may change counts as unchanged. */
export function comparedWith(
  next: Readonly<KubeObject>,
  old: Readonly<KubeObject>,
  scope: WriteScope,
): Readonly<KubeObject> {
  if (scope !== "ephemeralcontainers") return old;
  return withSpec(old, { ephemeralContainers: part(next, "spec").ephemeralContainers });
}

/** Says who owns the fields of the result; who owned them before, where nobody keeps account. */
export function setOwners(
  next: KubeObject,
  old: Readonly<KubeObject>,
  track: UpdateOptions["trackOwners"],
): void {
  const owners = track === undefined ? old.metadata.managedFields : track(next, old);
  if (owners === undefined) delete next.metadata.managedFields;
  else next.metadata.managedFields = owners;
}

/** Whether a change must count in metadata.generation. */
export function changesGeneration(
  next: KubeObject,
  old: Readonly<KubeObject>,
  traits: Pick<KindTraits, "hasStatus">,
): boolean {
  // A Deployment's annotations are part of what it wants: they go into its ReplicaSets.
  const annotations = next.kind === "Deployment";
  return (
    !jsonEquals(wanted(next, traits), wanted(old, traits)) ||
    (annotations && !jsonEquals(next.metadata.annotations, old.metadata.annotations))
  );
}

/** Without an endpoint of its own, the status of a custom resource is a field like any other. */
function wanted(
  object: Readonly<KubeObject>,
  { hasStatus }: Pick<KindTraits, "hasStatus">,
): Record<string, unknown> {
  const { metadata: _metadata, kind: _kind, apiVersion: _version, ...all } = object;
  const { status: _status, ...rest } = all;
  return hasStatus ? rest : all;
}

function keepSystemFields(next: KubeObject, old: Readonly<KubeObject>): void {
  const { metadata } = next;
  // A different uid stays, for validation to refuse it; an absent one is not a change.
  if (metadata.uid === undefined || metadata.uid === "") restore(metadata, old.metadata, "uid");
  for (const field of SYSTEM_FIELDS) restore(metadata, old.metadata, field);
}

function withSpec(old: Readonly<KubeObject>, fields: Record<string, unknown>): KubeObject {
  return { ...old, metadata: { ...old.metadata }, spec: { ...part(old, "spec"), ...fields } };
}

function withStatus(next: KubeObject, old: Readonly<KubeObject>, traits: KindTraits): KubeObject {
  const { metadata } = next;
  const kept = { ...old.metadata };
  restore(kept, metadata, "annotations");
  restore(kept, metadata, "resourceVersion");
  restore(kept, metadata, "uid");
  if (traits.statusWritesLabels) restore(kept, metadata, "labels");
  const result: KubeObject = { ...old, metadata: kept };
  restore(result, next, "status");
  return result;
}

/** Sets a field to what it is elsewhere, absence included. */
function restore<T extends object>(target: T, source: Readonly<T>, field: keyof T): void {
  if (source[field] === undefined) delete target[field];
  else target[field] = source[field];
}
