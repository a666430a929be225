import { isConflict, isNotFound } from "../client/index.ts";
import type { ApiResource, Client } from "../client/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import type { OwnerReference } from "../api/index.ts";
import type { ClaimPlan } from "./claim.ts";

export interface ClaimWriter<T extends KubeObject> {
  readonly client: Client;
  readonly resource: ApiResource<T>;
  /** The owner as the server has it now: a cached one may be gone. */
  readonly readOwner: () => Promise<KubeObject>;
  readonly reference: OwnerReference;
}

/**
 * Carries a {@link ClaimPlan} out and gives what the owner has afterwards. What changed meanwhile
 * is left for the next look, which its own event causes.
 */
export async function carryOutClaims<T extends KubeObject>(
  writer: ClaimWriter<T>,
  plan: ClaimPlan<T>,
): Promise<readonly T[]> {
  for (const object of plan.release) await tolerant(release(writer, object));
  if (plan.adopt.length === 0) return plan.owned;
  const owner = await writer.readOwner();
  const gone = owner.metadata.uid !== writer.reference.uid;
  if (gone || owner.metadata.deletionTimestamp !== undefined) return plan.owned;
  const owned = [...plan.owned];
  for (const object of plan.adopt) {
    const adopted = await tolerant(adopt(writer, object));
    if (adopted !== undefined) owned.push(adopted);
  }
  return owned;
}

function adopt<T extends KubeObject>(writer: ClaimWriter<T>, object: T): Promise<T> {
  const others = object.metadata.ownerReferences ?? [];
  return setOwners(writer, object, [...others, writer.reference]);
}

function release<T extends KubeObject>(writer: ClaimWriter<T>, object: T): Promise<T> {
  const others = object.metadata.ownerReferences ?? [];
  const rest = others.filter((reference) => reference.uid !== writer.reference.uid);
  return setOwners(writer, object, rest);
}

/** The whole list, guarded by the revision it was computed from. */
function setOwners<T extends KubeObject>(
  { client, resource }: ClaimWriter<T>,
  object: T,
  ownerReferences: readonly OwnerReference[],
): Promise<T> {
  const { namespace, name = "", resourceVersion, uid } = object.metadata;
  // A merge takes out what is null: what nobody owns has no list at all.
  const owners = ownerReferences.length === 0 ? null : ownerReferences;
  const patch = { metadata: { uid, resourceVersion, ownerReferences: owners } };
  return client.resource(resource, namespace).patch(name, patch, { type: "merge" });
}

async function tolerant<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (isNotFound(error) || isConflict(error)) return undefined;
    throw error;
  }
}
