import type { ClusterRole, PolicyRule } from "../../api/index.ts";
import { ALL_VERBS, allow, allowPaths, READ, WRITE } from "./policy-rules.ts";
import { aggregated, clusterRole } from "./role-objects.ts";

const AGGREGATE_TO = "rbac.authorization.k8s.io/aggregate-to-";
const APPS =
  "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale " +
  "statefulsets statefulsets/scale";
const APPS_STATUS =
  "controllerrevisions daemonsets daemonsets/status deployments deployments/scale " +
  "deployments/status replicasets replicasets/scale replicasets/status statefulsets " +
  "statefulsets/scale statefulsets/status";

/** The roles that are given to people: cluster-admin, admin, edit and view. */
export function userRoles(): ClusterRole[] {
  const all = [allow("*", "*", "*"), allowPaths("*", "*")];
  return [
    clusterRole("cluster-admin", all),
    aggregated("admin", { [`${AGGREGATE_TO}admin`]: "true" }),
    aggregated("edit", { [`${AGGREGATE_TO}edit`]: "true" }, { [`${AGGREGATE_TO}admin`]: "true" }),
    aggregated("view", { [`${AGGREGATE_TO}view`]: "true" }, { [`${AGGREGATE_TO}edit`]: "true" }),
    part("admin", adminRules()),
    part("edit", editRules()),
    part("view", viewRules()),
    clusterRole("system:aggregated-metrics-reader", metricsRules(), {
      [`${AGGREGATE_TO}admin`]: "true",
      [`${AGGREGATE_TO}edit`]: "true",
      [`${AGGREGATE_TO}view`]: "true",
    }),
  ];
}

function part(role: string, rules: PolicyRule[]): ClusterRole {
  return clusterRole(`system:aggregate-to-${role}`, rules, { [AGGREGATE_TO + role]: "true" });
}

function adminRules(): PolicyRule[] {
  return [
    allow("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    allow(ALL_VERBS, "rbac.authorization.k8s.io", "rolebindings roles"),
  ];
}

function editRules(): PolicyRule[] {
  return [
    allow(READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    allow("impersonate", "", "serviceaccounts"),
    allow(WRITE, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    allow("create", "", "pods/eviction"),
    allow(
      WRITE,
      "",
      "configmaps events persistentvolumeclaims replicationcontrollers " +
        "replicationcontrollers/scale secrets serviceaccounts services services/proxy",
    ),
    allow("create", "", "serviceaccounts/token"),
    allow(WRITE, "apps", APPS),
    allow(WRITE, "autoscaling", "horizontalpodautoscalers"),
    allow(WRITE, "batch", "cronjobs jobs"),
    allow(WRITE, "policy", "poddisruptionbudgets"),
    allow(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    allow(ALL_VERBS, "coordination.k8s.io", "leases"),
    allow(WRITE, "kubun.dev", "keyvaluestores"),
  ];
}

function viewRules(): PolicyRule[] {
  return [
    allow(
      READ,
      "",
      "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods " +
        "replicationcontrollers replicationcontrollers/scale serviceaccounts services " +
        "services/status",
    ),
    allow(
      READ,
      "",
      "bindings events limitranges namespaces/status pods/log pods/status " +
        "replicationcontrollers/status resourcequotas resourcequotas/status",
    ),
    allow(READ, "", "namespaces"),
    allow(READ, "discovery.k8s.io", "endpointslices"),
    allow(READ, "apps", APPS_STATUS),
    allow(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    allow(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    allow(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    allow(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    allow(READ, "kubun.dev", "keyvaluestores"),
  ];
}

/** What the metrics server of a Kubernetes cluster brings along. */
function metricsRules(): PolicyRule[] {
  return [allow(READ, "metrics.k8s.io", "nodes pods")];
}
