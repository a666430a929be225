import type { ClusterRole, PolicyRule, Role, RoleRef } from "../../api/index.ts";
import { forbidden, jsonEquals, notFound } from "../../apimachinery/index.ts";
import type { AccessControl } from "../rbac/access-control.ts";
import type { Binding } from "../rbac/rbac-index.ts";
import { RBAC_GROUP } from "../rbac/role-objects.ts";
import { missingRights, quotedList, ruleText } from "../rbac/rule-cover.ts";
import { ADMINISTRATORS, type User } from "../user.ts";
import type { Admitted } from "./admitted.ts";

const EVERYTHING: readonly PolicyRule[] = [
  { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
  { nonResourceURLs: ["*"], verbs: ["*"] },
];

/**
 * Nobody gives what he does not have: a role's rules must be held by who writes them, unless he may
 * `escalate` that role; so must the rules of a role that is bound, unless he may `bind` it.
 * Throws 403.
 */
export function refuseEscalation(user: User, write: Admitted, access: AccessControl): void {
  if (write.next === undefined || user.groups.includes(ADMINISTRATORS)) return;
  switch (write.definition.resource) {
    case "roles":
    case "clusterroles":
      return checkRole(user, write, access);
    case "rolebindings":
    case "clusterrolebindings":
      return checkBinding(user, write, access);
    default:
  }
}

function checkRole(user: User, write: Admitted, access: AccessControl): void {
  const next = write.next as ClusterRole;
  const old: ClusterRole | undefined = write.old;
  const sameLabels = jsonEquals(next.metadata.labels ?? {}, old?.metadata.labels ?? {});
  // A label can make a role part of another one, so that it counts as a change of rights.
  if (old !== undefined && sameLabels && grantsSame(next, old)) return;
  if (may("escalate", user, write.definition.resource, write.name, write.namespace, access)) return;
  assertHeld(user, write, next.rules ?? [], access);
  if (next.aggregationRule === undefined && old?.aggregationRule === undefined) return;
  if (missingRights(access.rulesOf(user, write.namespace), EVERYTHING).length > 0) {
    const why = "must have cluster-admin privileges to use aggregationRule";
    throw forbidden(write.definition, write.name, why);
  }
}

function grantsSame(next: ClusterRole | Role, old: ClusterRole | Role): boolean {
  return (
    jsonEquals(next.rules ?? [], old.rules ?? []) &&
    jsonEquals(next["aggregationRule"], old["aggregationRule"])
  );
}

function checkBinding(user: User, write: Admitted, access: AccessControl): void {
  const next = write.next as Binding;
  const old = write.old as Binding | undefined;
  const same =
    old !== undefined &&
    jsonEquals(next.roleRef, old.roleRef) &&
    jsonEquals(next.subjects ?? [], old.subjects ?? []);
  if (same) return;
  // Without a role validation refuses it.
  const roleRef: Partial<RoleRef> = next.roleRef ?? {};
  const { kind, name = "" } = roleRef;
  if (kind === undefined || name === "") return;
  const resource = kind === "Role" ? "roles" : "clusterroles";
  if (may("bind", user, resource, name, write.namespace, access)) return;
  const rules = access.index.rulesOf(roleRef as RoleRef, write.namespace);
  if (rules === undefined) throw notFound({ group: RBAC_GROUP, resource }, name);
  assertHeld(user, write, rules, access);
}

function may(
  verb: string,
  user: User,
  resource: string,
  name: string,
  namespace: string,
  access: AccessControl,
): boolean {
  const about = { group: RBAC_GROUP, version: "v1", resource, subresource: "", namespace, name };
  return access.decide(user, { type: "resource", verb, ...about }).allowed;
}

function assertHeld(
  user: User,
  { definition, name, namespace }: Admitted,
  rules: readonly PolicyRule[],
  access: AccessControl,
): void {
  const missing = missingRights(access.rulesOf(user, namespace), rules);
  if (missing.length === 0) return;
  const who = `user ${JSON.stringify(user.name)} (groups=${quotedList(user.groups)})`;
  const what = missing.map(ruleText).sort().join("\n");
  const why = `${who} is attempting to grant RBAC permissions not currently held:\n${what}`;
  throw forbidden(definition, name, why);
}
