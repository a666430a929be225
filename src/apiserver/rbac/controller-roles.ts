import type { ClusterRole, PolicyRule } from "../../api/index.ts";
import { allow, allowIn, allowPaths, READ, recordEvents } from "./policy-rules.ts";
import { aggregated, clusterRole } from "./role-objects.ts";

export const CONTROLLER_PREFIX = "system:controller:";
/** The sum of all controllers' roles: Kubun's controllers are one user. */
export const ALL_CONTROLLERS = "kubun:controllers";
const AGGREGATE = { "kubun.dev/aggregate-to-controllers": "true" };
const APPS = ["apps", "extensions"];
const FINALIZERS = "update";
const CERTIFICATES = "certificates.k8s.io";
const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";
const SIGNERS =
  `${CLIENT_SIGNER} ${CLIENT_SIGNER}-kubelet ` +
  "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown";

/** By name: the roles of the controllers in a Kubernetes control plane. */
const CONTROLLERS: Readonly<Record<string, () => PolicyRule[]>> = {
  "attachdetach-controller": () => [
    allow("list watch", "", "persistentvolumeclaims persistentvolumes"),
    allow(READ, "", "nodes"),
    allow("patch update", "", "nodes/status"),
    allow("list watch", "", "pods"),
    recordEvents(),
    allow("create delete get list patch update watch", "storage.k8s.io", "volumeattachments"),
    allow(READ, "storage.k8s.io", "csidrivers csinodes"),
  ],
  "clusterrole-aggregation-controller": () => [
    allow("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles"),
  ],
  "cronjob-controller": () => [
    allow("get list update watch", "batch", "cronjobs"),
    allow("create delete get list patch update watch", "batch", "jobs"),
    allow("update", "batch", "cronjobs/status"),
    allow(FINALIZERS, "batch", "cronjobs/finalizers"),
    allow("delete list", "", "pods"),
    recordEvents(),
  ],
  "daemon-set-controller": () => [
    allowIn(READ, APPS, "daemonsets"),
    allowIn("update", APPS, "daemonsets/finalizers daemonsets/status"),
    allow("list watch", "", "nodes"),
    allow("create delete list patch watch", "", "pods"),
    allow("create", "", "pods/binding"),
    allow("create delete get list patch update watch", "apps", "controllerrevisions"),
    recordEvents(),
  ],
  "deployment-controller": () => [
    allowIn("get list update watch", APPS, "deployments"),
    allowIn("update", APPS, "deployments/finalizers deployments/status"),
    allowIn("create delete get list patch update watch", APPS, "replicasets"),
    allow("get list update watch", "", "pods"),
    recordEvents(),
  ],
  "disruption-controller": () => [
    allowIn(READ, APPS, "deployments replicasets"),
    allow(READ, "", "replicationcontrollers"),
    allow(READ, "policy", "poddisruptionbudgets"),
    allow(READ, "apps", "statefulsets"),
    allow("update", "policy", "poddisruptionbudgets/status"),
    allow("patch update", "", "pods/status"),
    allow("get", "*", "*/scale"),
    recordEvents(),
  ],
  "certificate-controller": () => [
    allow("delete get list watch", CERTIFICATES, "certificatesigningrequests"),
    allow(
      "update",
      CERTIFICATES,
      "certificatesigningrequests/approval certificatesigningrequests/status",
    ),
    allow("approve", CERTIFICATES, "signers", `${CLIENT_SIGNER}-kubelet`),
    allow("sign", CERTIFICATES, "signers", SIGNERS),
    allow("create", "authorization.k8s.io", "subjectaccessreviews"),
    recordEvents(),
  ],
  "endpoint-controller": () => [
    allow(READ, "", "pods services"),
    allow("create delete get list update", "", "endpoints"),
    allow("create", "", "endpoints/restricted"),
    recordEvents(),
  ],
  "endpointslice-controller": () => [
    allow(READ, "", "nodes pods services"),
    allow(FINALIZERS, "", "services/finalizers"),
    allow("create delete get list update", "discovery.k8s.io", "endpointslices"),
    allow("create", "discovery.k8s.io", "endpointslices/restricted"),
    recordEvents(),
  ],
  "endpointslicemirroring-controller": () => [
    allow(READ, "", "endpoints services"),
    allow(FINALIZERS, "", "services/finalizers endpoints/finalizers"),
    allow("create delete get list update", "discovery.k8s.io", "endpointslices"),
    allow("create", "discovery.k8s.io", "endpointslices/restricted"),
    recordEvents(),
  ],
  "ephemeral-volume-controller": () => [
    allow(READ, "", "pods"),
    allow(FINALIZERS, "", "pods/finalizers"),
    allow("create get list watch", "", "persistentvolumeclaims"),
    recordEvents(),
  ],
  "generic-garbage-collector": () => [
    allow("delete get list patch update watch", "*", "*"),
    recordEvents(),
  ],
  "horizontal-pod-autoscaler": () => [
    allow(READ, "autoscaling", "horizontalpodautoscalers"),
    allow("update", "autoscaling", "horizontalpodautoscalers/status"),
    allow("get update", "*", "*/scale"),
    allow("list", "", "pods"),
    allow("list get", "custom.metrics.k8s.io", "*"),
    allow("list", "metrics.k8s.io", "pods"),
    recordEvents(),
  ],
  "job-controller": () => [
    allow("get list patch update watch", "batch", "jobs"),
    allow("update", "batch", "jobs/status"),
    allow(FINALIZERS, "batch", "jobs/finalizers"),
    allow("create delete list patch watch", "", "pods"),
    recordEvents(),
  ],
  "namespace-controller": () => [
    allow("delete get list watch", "", "namespaces"),
    allow("update", "", "namespaces/finalize namespaces/status"),
    allow("delete deletecollection get list", "*", "*"),
  ],
  "node-controller": () => [
    allow("delete get list patch update watch", "", "nodes"),
    allow("patch update", "", "nodes/status"),
    allow("patch update", "", "pods/status"),
    allow("delete list", "", "pods"),
    allow("get", "", "pods"),
    allow(READ, "networking.k8s.io", "clustercidrs"),
    recordEvents(),
  ],
  "persistent-volume-binder": () => [
    allow("create delete get list update watch", "", "persistentvolumes"),
    allow("update", "", "persistentvolumes/status"),
    allow("get list update watch", "", "persistentvolumeclaims"),
    allow("update", "", "persistentvolumeclaims/status"),
    allow("create delete get list watch", "", "pods"),
    allow(READ, "storage.k8s.io", "storageclasses"),
    allow("create delete get", "", "services endpoints"),
    allow("get list", "", "secrets"),
    allow("get list", "", "nodes"),
    recordEvents(),
  ],
  "pod-garbage-collector": () => [
    allow("delete list watch", "", "pods"),
    allow("get list", "", "nodes"),
    allow("patch", "", "pods/status"),
  ],
  "pv-protection-controller": () => [
    allow("get list update watch", "", "persistentvolumes"),
    recordEvents(),
  ],
  "pvc-protection-controller": () => [
    allow("get list update watch", "", "persistentvolumeclaims"),
    allow(READ, "", "pods"),
    recordEvents(),
  ],
  "replicaset-controller": () => [
    allowIn("get list update watch", APPS, "replicasets"),
    allowIn("update", APPS, "replicasets/finalizers replicasets/status"),
    allow("create delete list patch watch", "", "pods"),
    recordEvents(),
  ],
  "replication-controller": () => [
    allow("get list update watch", "", "replicationcontrollers"),
    allow("update", "", "replicationcontrollers/finalizers replicationcontrollers/status"),
    allow("create delete list patch watch", "", "pods"),
    recordEvents(),
  ],
  "resourcequota-controller": () => [
    allow("list watch", "*", "*"),
    allow("update", "", "resourcequotas/status"),
    recordEvents(),
  ],
  "root-ca-cert-publisher": () => [allow("create update", "", "configmaps"), recordEvents()],
  "scale-to-zero-controller": () => [
    allow("list watch", "apps", "deployments"),
    allow("patch", "apps", "deployments/scale"),
    allow("list watch patch", "", "services"),
    allow("list watch", "", "pods"),
    allow("list watch", "autoscaling", "horizontalpodautoscalers"),
    allow("list", "metrics.k8s.io", "pods"),
    recordEvents(),
  ],
  "service-account-controller": () => [allow("create", "", "serviceaccounts"), recordEvents()],
  "service-controller": () => [
    allow(READ, "", "services"),
    allow("patch update", "", "services/status"),
    allow("list watch", "", "nodes"),
    recordEvents(),
  ],
  "statefulset-controller": () => [
    allow("list watch", "", "pods"),
    allow(READ, "apps", "statefulsets"),
    allow("update", "apps", "statefulsets/finalizers statefulsets/status"),
    allow("create delete get patch update", "", "pods"),
    allow("create delete get list patch update watch", "apps", "controllerrevisions"),
    allow("create get", "", "persistentvolumeclaims"),
    allow("delete update", "", "persistentvolumeclaims"),
    recordEvents(),
  ],
  "ttl-after-finished-controller": () => [
    allow("delete get list watch", "batch", "jobs"),
    recordEvents(),
  ],
  "ttl-controller": () => [allow("list patch update watch", "", "nodes"), recordEvents()],
};

/** Kubernetes' controllers; each has a ServiceAccount of its name in kube-system. */
export const CONTROLLER_NAMES: readonly string[] = Object.keys(CONTROLLERS);

export function controllerRoles(): ClusterRole[] {
  const own = Object.entries(CONTROLLERS).map(([name, rules]) =>
    clusterRole(CONTROLLER_PREFIX + name, rules(), AGGREGATE),
  );
  const discovery = [allowPaths("get", "/api /api/* /apis /apis/*")];
  return [
    ...own,
    clusterRole(`${CONTROLLER_PREFIX}kubun`, [...kubunRules(), ...discovery], AGGREGATE),
    aggregated(ALL_CONTROLLERS, AGGREGATE),
  ];
}

/** What Kubun's controllers do beyond those of Kubernetes. */
function kubunRules(): PolicyRule[] {
  return [
    allow("create get list patch update watch", "coordination.k8s.io", "leases"),
    allow("create", "", "pods/eviction"),
    allow("patch", "", "configmaps endpoints serviceaccounts"),
    allow("patch", "discovery.k8s.io", "endpointslices"),
    allow(
      "patch",
      "apps",
      "daemonsets/status deployments/status replicasets/status statefulsets/status",
    ),
    allow("patch", "batch", "cronjobs/status jobs/status"),
    allow("patch", "policy", "poddisruptionbudgets/status"),
    allow(
      "patch",
      "",
      "namespaces/status persistentvolumeclaims/status persistentvolumes/status " +
        "replicationcontrollers/status services/status",
    ),
  ];
}
