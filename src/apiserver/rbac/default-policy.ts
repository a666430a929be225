import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../api/index.ts";
import { ADMINISTRATORS, AUTHENTICATED, NODES, UNAUTHENTICATED } from "../user.ts";
import { componentRoles } from "./component-roles.ts";
import {
  ALL_CONTROLLERS,
  CONTROLLER_NAMES,
  CONTROLLER_PREFIX,
  controllerRoles,
} from "./controller-roles.ts";
import { allow, READ } from "./policy-rules.ts";
import { binding, clusterBinding, group, role, serviceAccount, user } from "./role-objects.ts";
import { userRoles } from "./user-roles.ts";

export const CONTROLLER_MANAGER = "system:kube-controller-manager";
export const SCHEDULER = "system:kube-scheduler";
export const PROXY = "system:kube-proxy";
const SYSTEM = "kube-system";

export interface DefaultPolicy {
  readonly clusterRoles: readonly ClusterRole[];
  readonly clusterRoleBindings: readonly ClusterRoleBinding[];
  readonly roles: readonly Role[];
  readonly roleBindings: readonly RoleBinding[];
}

/** The roles and bindings that every cluster begins with: Kubernetes' own, and a few of Kubun's. */
export function defaultPolicy(): DefaultPolicy {
  return {
    clusterRoles: [...userRoles(), ...componentRoles(), ...controllerRoles()],
    clusterRoleBindings: clusterRoleBindings(),
    roles: roles(),
    roleBindings: roleBindings(),
  };
}

function clusterRoleBindings(): ClusterRoleBinding[] {
  const everybody = [group(AUTHENTICATED)];
  return [
    clusterBinding("cluster-admin", [group(ADMINISTRATORS)]),
    clusterBinding("system:monitoring", [group("system:monitoring")]),
    clusterBinding("system:discovery", everybody),
    clusterBinding("system:basic-user", everybody),
    clusterBinding("system:public-info-viewer", [...everybody, group(UNAUTHENTICATED)]),
    clusterBinding("system:service-account-issuer-discovery", [group("system:serviceaccounts")]),
    clusterBinding("system:node-proxier", [user(PROXY)]),
    clusterBinding(CONTROLLER_MANAGER, [user(CONTROLLER_MANAGER)]),
    clusterBinding("system:kube-dns", [serviceAccount(SYSTEM, "kube-dns")]),
    clusterBinding(SCHEDULER, [user(SCHEDULER)]),
    clusterBinding("system:volume-scheduler", [user(SCHEDULER)]),
    // Bound to nobody: what a node may do, the node authorizer says.
    clusterBinding("system:node", []),
    clusterBinding("kubun:node-proxier", [user(PROXY), group(NODES)]),
    clusterBinding("kubun:ingress-publisher", [user(PROXY)]),
    clusterBinding(ALL_CONTROLLERS, [user(CONTROLLER_MANAGER)]),
    ...CONTROLLER_NAMES.map((name) =>
      clusterBinding(CONTROLLER_PREFIX + name, [serviceAccount(SYSTEM, name)]),
    ),
  ];
}

const AUTHENTICATION_READER = "extension-apiserver-authentication-reader";
const LOCKING = "system::leader-locking-";
const SIGNER = `${CONTROLLER_PREFIX}bootstrap-signer`;
const CLEANER = `${CONTROLLER_PREFIX}token-cleaner`;

function roles(): Role[] {
  const settings = "extension-apiserver-authentication";
  return [
    role(SYSTEM, AUTHENTICATION_READER, [allow(READ, "", "configmaps", settings)]),
    role(SYSTEM, SIGNER, [allow(READ, "", "secrets")]),
    role(SYSTEM, CLEANER, [
      allow("delete get list watch", "", "secrets"),
      allow("create patch update", "", "events"),
    ]),
    locking("kube-controller-manager"),
    locking("kube-scheduler"),
    role("kube-public", SIGNER, [
      allow(READ, "", "configmaps"),
      allow("update", "", "configmaps", "cluster-info"),
      allow("create patch update", "", "events"),
    ]),
  ];
}

function locking(component: string): Role {
  return role(SYSTEM, LOCKING + component, [
    allow("watch", "", "configmaps"),
    allow("get update", "", "configmaps", component),
  ]);
}

function roleBindings(): RoleBinding[] {
  const both = [user(CONTROLLER_MANAGER), user(SCHEDULER)];
  const signer = serviceAccount(SYSTEM, "bootstrap-signer");
  return [
    binding(SYSTEM, `${LOCKING}kube-controller-manager`, [
      user(CONTROLLER_MANAGER),
      serviceAccount(SYSTEM, "kube-controller-manager"),
    ]),
    binding(SYSTEM, `${LOCKING}kube-scheduler`, [
      user(SCHEDULER),
      serviceAccount(SYSTEM, "kube-scheduler"),
    ]),
    binding(SYSTEM, `system::${AUTHENTICATION_READER}`, both, AUTHENTICATION_READER),
    binding(SYSTEM, SIGNER, [signer]),
    binding(SYSTEM, CLEANER, [serviceAccount(SYSTEM, "token-cleaner")]),
    binding("kube-public", SIGNER, [signer]),
  ];
}
