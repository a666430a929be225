import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from "../../api/index.ts";

export const RBAC_GROUP = "rbac.authorization.k8s.io";
const API_VERSION = `${RBAC_GROUP}/v1`;
/** "false" on a default role or binding keeps it from being completed. */
export const AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate";
const BOOTSTRAPPING = { "kubernetes.io/bootstrapping": "rbac-defaults" };

type Labels = Readonly<Record<string, string>>;

export function clusterRole(name: string, rules: PolicyRule[], labels: Labels = {}): ClusterRole {
  return { kind: "ClusterRole", apiVersion: API_VERSION, metadata: metadata(name, labels), rules };
}

/** A role that is made of all those that have the labels. */
export function aggregated(name: string, matchLabels: Labels, labels: Labels = {}): ClusterRole {
  return {
    ...clusterRole(name, [], labels),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { ...matchLabels } }] },
  };
}

export function role(namespace: string, name: string, rules: PolicyRule[]): Role {
  const of = { ...metadata(name), namespace };
  return { kind: "Role", apiVersion: API_VERSION, metadata: of, rules };
}

export function clusterBinding(
  name: string,
  subjects: Subject[],
  roleName = name,
): ClusterRoleBinding {
  return {
    kind: "ClusterRoleBinding",
    apiVersion: API_VERSION,
    metadata: metadata(name),
    roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: roleName },
    ...(subjects.length === 0 ? {} : { subjects }),
  };
}

export function binding(
  namespace: string,
  name: string,
  subjects: Subject[],
  roleName = name,
): RoleBinding {
  return {
    kind: "RoleBinding",
    apiVersion: API_VERSION,
    metadata: { ...metadata(name), namespace },
    roleRef: { apiGroup: RBAC_GROUP, kind: "Role", name: roleName },
    subjects,
  };
}

export function user(name: string): Subject {
  return { kind: "User", apiGroup: RBAC_GROUP, name };
}

export function group(name: string): Subject {
  return { kind: "Group", apiGroup: RBAC_GROUP, name };
}

export function serviceAccount(namespace: string, name: string): Subject {
  return { kind: "ServiceAccount", namespace, name };
}

function metadata(name: string, labels: Labels = {}) {
  return {
    name,
    labels: { ...BOOTSTRAPPING, ...labels },
    annotations: { [AUTOUPDATE]: "true" },
  };
}
