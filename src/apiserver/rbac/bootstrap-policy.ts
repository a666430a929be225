import {
  type ApiResource,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  type ClusterRole,
  ROLE_BINDINGS,
  ROLES,
  type Role,
} from "../../api/index.ts";
import { isStatusError, jsonEquals, type KubeObject } from "../../apimachinery/index.ts";
import type { Registry } from "../../registry/index.ts";
import { complete } from "../object-intake.ts";
import { resourceOf } from "../resource-of.ts";
import { unsettledRoles } from "./aggregation.ts";
import { defaultPolicy } from "./default-policy.ts";
import type { Binding } from "./rbac-index.ts";
import { AUTOUPDATE } from "./role-objects.ts";
import { missingRights } from "./rule-cover.ts";

type AnyRole = Role | ClusterRole;

/**
 * Makes the default roles and bindings what they must at least be: what is missing is added, what
 * an administrator added stays. One that says `autoupdate: "false"` is left alone. Then writes down
 * what aggregated roles are the sum of. Safe to run again and again: what fits is not written.
 */
export async function bootstrapPolicy(registry: Registry): Promise<void> {
  const policy = defaultPolicy();
  // All at once, so that they share the store's syncs.
  await Promise.all([
    ...policy.clusterRoles.map((role) => ensure(registry, CLUSTER_ROLES, role, completedRole)),
    ...policy.roles.map((role) => ensure(registry, ROLES, role, completedRole)),
    ...policy.clusterRoleBindings.map((binding) =>
      ensure(registry, CLUSTER_ROLE_BINDINGS, binding, completedBinding),
    ),
    ...policy.roleBindings.map((binding) =>
      ensure(registry, ROLE_BINDINGS, binding, completedBinding),
    ),
  ]);
  await settleRoles(registry);
}

/** Writes into each aggregated role the rules it has by its parts. */
async function settleRoles(registry: Registry): Promise<void> {
  const present = registry.present.all(CLUSTER_ROLES, "");
  const roles = new Map(present.map((role) => [role.metadata.name ?? "", role]));
  const resource = resourceOf(registry, CLUSTER_ROLES);
  await Promise.all(
    unsettledRoles(roles).map(({ name, rules }) =>
      resource.update("", name, (current) => ({ ...current, rules: structuredClone(rules) })),
    ),
  );
}

async function ensure<T extends KubeObject>(
  registry: Registry,
  kind: ApiResource<T>,
  wanted: T,
  completed: (present: Readonly<T>, wanted: T) => T | "recreate",
): Promise<void> {
  const { name = "", namespace = "" } = wanted.metadata;
  const resource = resourceOf(registry, kind);
  const present = registry.present.find(kind, namespace, name);
  if (present?.metadata.annotations?.[AUTOUPDATE] === "false") return;
  complete(resource.definition, wanted);
  const next = present === undefined ? "recreate" : completed(present, wanted);
  if (present !== undefined && next !== "recreate") {
    const metadata = completedMetadata(present, wanted);
    if (jsonEquals({ ...next, metadata }, present)) return;
    await resource.update(namespace, name, () => structuredClone({ ...next, metadata }));
    return;
  }
  try {
    if (present !== undefined) await resource.delete(namespace, name);
    await resource.create(namespace, wanted);
  } catch (error) {
    if (!isStatusError(error, "AlreadyExists") && !isStatusError(error, "NotFound")) throw error;
  }
}

function completedMetadata<T extends KubeObject>({ metadata }: Readonly<T>, wanted: T) {
  return {
    ...metadata,
    labels: { ...metadata.labels, ...wanted.metadata.labels },
    annotations: { ...wanted.metadata.annotations, ...metadata.annotations },
  };
}

/** The present role with the rights that it lacks; a sum keeps the rules that settling gave it. */
function completedRole<R extends AnyRole>(present: Readonly<R>, wanted: R): R {
  if (isSum(wanted)) {
    const given = isSum(present) ? (present.aggregationRule?.clusterRoleSelectors ?? []) : [];
    const lacking = (wanted.aggregationRule?.clusterRoleSelectors ?? []).filter(
      (selector) => !given.some((known) => jsonEquals(known, selector)),
    );
    return { ...present, aggregationRule: { clusterRoleSelectors: [...given, ...lacking] } };
  }
  const rules = present.rules ?? [];
  if (jsonEquals(rules, wanted.rules ?? [])) return present;
  return { ...present, rules: [...rules, ...missingRights(rules, wanted.rules ?? [])] };
}

function isSum(role: Readonly<AnyRole>): role is ClusterRole {
  return "aggregationRule" in role && role.aggregationRule !== undefined;
}

function completedBinding<B extends Binding>(present: Readonly<B>, wanted: B): B | "recreate" {
  // What a binding points to cannot change.
  if (!jsonEquals(present.roleRef, wanted.roleRef)) return "recreate";
  const subjects = present.subjects ?? [];
  const lacking = (wanted.subjects ?? []).filter(
    (subject) => !subjects.some((known) => jsonEquals(known, subject)),
  );
  return lacking.length === 0 ? present : { ...present, subjects: [...subjects, ...lacking] };
}
