import type { ClusterRoleBinding, RoleBinding } from "./types.ts";

export const RBAC_GROUP = "rbac.authorization.k8s.io";

/** Roles, users and groups belong to the RBAC group; service accounts to the core group. */
export function defaultBinding(binding: RoleBinding | ClusterRoleBinding): void {
  if (binding.roleRef !== undefined) binding.roleRef.apiGroup ||= RBAC_GROUP;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === "User" || subject.kind === "Group") subject.apiGroup ||= RBAC_GROUP;
  }
}
