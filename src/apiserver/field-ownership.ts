import {
  apiVersionOf,
  checkManagedFields,
  type FieldWriter,
  invalid,
  type KubeObject,
  type ManagedFieldsEntry,
  managerOfUserAgent,
  rfc3339,
  trackCreate,
  trackUpdate,
} from "../apimachinery/index.ts";
import type { ApiRequest } from "./api-request.ts";
import { nodeNameOf, type User } from "./user.ts";

/** Makes metadata.managedFields of what a write results in. */
export type TrackOwners = (
  next: Readonly<KubeObject>,
  old: Readonly<KubeObject>,
) => ManagedFieldsEntry[] | undefined;

/** Who writes, as managedFields names them. */
export function fieldWriterOf({
  request,
  query,
  definition,
  target,
  context,
}: ApiRequest): FieldWriter {
  const given = query.get("fieldManager") ?? "";
  return {
    manager: given || managerOfUserAgent(request.headers.get("user-agent") ?? ""),
    apiVersion: apiVersionOf(definition),
    subresource: target.subresource,
    time: rfc3339(context.clock.now()),
  };
}

/**
 * Says who owns the fields of a new object. What the cluster's own parts create (the pods of a
 * ReplicaSet, events, leases) has no owners until something is applied to it: that is the bulk of
 * all objects, nobody applies to it, and owners would double its size in memory, log and watches.
 */
export function ownCreated(api: ApiRequest, object: KubeObject): void {
  const { metadata } = object;
  if (isComponent(api.user)) {
    delete metadata.managedFields;
    return;
  }
  assertManagedFields(api, object);
  const { definition } = api;
  const hasStatus = definition.subresources.some(({ name }) => name === "status");
  const { status: _status, ...others } = object;
  const owned = hasStatus ? others : object;
  setManagedFields(object, trackCreate(definition.schema, owned, fieldWriterOf(api)));
}

/** How a change through this endpoint moves fields from owner to owner. */
export function ownersOfUpdate(api: ApiRequest): TrackOwners {
  return (next, old) => {
    if (next.metadata.managedFields !== undefined && api.target.subresource === "") {
      assertManagedFields(api, next);
    }
    return trackUpdate(api.definition.schema, old, next, fieldWriterOf(api));
  };
}

function assertManagedFields({ definition }: ApiRequest, { metadata }: Readonly<KubeObject>): void {
  const errors = checkManagedFields(metadata.managedFields);
  if (errors.length > 0) throw invalid(definition, metadata.name ?? "", errors);
}

function setManagedFields(
  { metadata }: KubeObject,
  entries: ManagedFieldsEntry[] | undefined,
): void {
  if (entries === undefined) delete metadata.managedFields;
  else metadata.managedFields = entries;
}

const COMPONENTS: ReadonlySet<string> = new Set([
  "system:apiserver",
  "system:kube-controller-manager",
  "system:kube-scheduler",
  "system:kube-proxy",
]);

function isComponent(user: User): boolean {
  return COMPONENTS.has(user.name) || nodeNameOf(user) !== undefined;
}
