import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { bindingColumns } from "./binding-columns.ts";
import { defaultBinding } from "./binding-defaults.ts";
import type { ClusterRoleBinding, RoleBinding } from "./types.ts";

const bindings: KindLogic<RoleBinding | ClusterRoleBinding> = {
  defaults: defaultBinding,
  columns: bindingColumns,
};

export const rbacKinds: KindTable = { clusterrolebindings: bindings, rolebindings: bindings };
