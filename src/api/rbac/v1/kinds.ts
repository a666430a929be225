import { PATH_SEGMENT_NAME } from "../../name-rules.ts";
import {
  validateBindingUpdate,
  validateClusterRole,
  validateClusterRoleBinding,
  validateRole,
  validateRoleBinding,
} from "./rbac-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { bindingColumns } from "./binding-columns.ts";
import { defaultBinding } from "./binding-defaults.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "./types.ts";

const nameRule = PATH_SEGMENT_NAME;

const roles: KindLogic<Role> = { nameRule, validate: validateRole };

const clusterRoles: KindLogic<ClusterRole> = { nameRule, validate: validateClusterRole };

const roleBindings: KindLogic<RoleBinding> = {
  nameRule,
  defaults: defaultBinding,
  validate: validateRoleBinding,
  validateUpdate: validateBindingUpdate,
  columns: bindingColumns,
};

const clusterRoleBindings: KindLogic<ClusterRoleBinding> = {
  nameRule,
  defaults: defaultBinding,
  validate: validateClusterRoleBinding,
  validateUpdate: validateBindingUpdate,
  columns: bindingColumns,
};

export const rbacKinds: KindTable = {
  clusterrolebindings: clusterRoleBindings,
  clusterroles: clusterRoles,
  rolebindings: roleBindings,
  roles,
};
