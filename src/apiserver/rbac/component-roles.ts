import type { ClusterRole, PolicyRule } from "../../api/index.ts";
import { allow, allowIn, allowPaths, READ, recordEvents } from "./policy-rules.ts";
import { clusterRole } from "./role-objects.ts";

const AUTHENTICATION = "authentication.k8s.io";
const AUTHORIZATION = "authorization.k8s.io";
const COORDINATION = "coordination.k8s.io";
const DISCOVERY = "discovery.k8s.io";
const NETWORKING = "networking.k8s.io";
const STORAGE = "storage.k8s.io";
const CERTIFICATES = "certificates.k8s.io";

/** What everybody may do, and the roles of the cluster's own parts. */
export function componentRoles(): ClusterRole[] {
  return [...publicRoles(), ...nodeRoles(), ...serverRoles()];
}

function publicRoles(): ClusterRole[] {
  const health = "/healthz /livez /readyz /version /version/";
  const discovery =
    "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/";
  const checks = "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*";
  return [
    clusterRole("system:public-info-viewer", [allowPaths("get", health)]),
    clusterRole("system:discovery", [allowPaths("get", discovery)]),
    clusterRole("system:monitoring", [allowPaths("get", checks)]),
    clusterRole("system:basic-user", [
      allow("create", AUTHORIZATION, "selfsubjectaccessreviews selfsubjectrulesreviews"),
      allow("create", AUTHENTICATION, "selfsubjectreviews"),
    ]),
    clusterRole("system:auth-delegator", reviews()),
    clusterRole("system:service-account-issuer-discovery", [
      allowPaths("get", "/.well-known/openid-configuration /openid/v1/jwks"),
    ]),
  ];
}

function reviews(): PolicyRule[] {
  return [
    allow("create", AUTHENTICATION, "tokenreviews"),
    allow("create", AUTHORIZATION, "subjectaccessreviews"),
  ];
}

/** What a node's agent may do; whose objects they must be, the node authorizer says. */
export function nodeRules(): PolicyRule[] {
  return [
    ...reviews(),
    allow(READ, "", "services"),
    allow("create get list watch", "", "nodes"),
    allow("patch update", "", "nodes nodes/status"),
    recordEvents(),
    allow("create delete get list watch", "", "pods"),
    allow("patch update", "", "pods/status"),
    allow("create", "", "pods/eviction"),
    allow(READ, "", "configmaps secrets"),
    allow("get", "", "persistentvolumeclaims persistentvolumes"),
    allow("patch update", "", "persistentvolumeclaims/status"),
    allow("get", STORAGE, "volumeattachments"),
    allow("create", "", "serviceaccounts/token"),
    allow(READ, "", "serviceaccounts"),
    allow("create delete get patch update", COORDINATION, "leases"),
    allow(READ, STORAGE, "csidrivers"),
    allow("create delete get patch update", STORAGE, "csinodes"),
    allow(READ, "node.k8s.io", "runtimeclasses"),
    allow("create get list watch", CERTIFICATES, "certificatesigningrequests"),
    allow("get update watch", "kubun.dev", "keyvaluestores"),
  ];
}

function nodeRoles(): ClusterRole[] {
  return [
    clusterRole("system:node", nodeRules()),
    clusterRole("system:node-proxier", [
      allow("list watch", "", "endpoints services"),
      allow(READ, "", "nodes"),
      recordEvents(),
      allow("list watch", DISCOVERY, "endpointslices"),
      allow("list watch", NETWORKING, "servicecidrs"),
    ]),
    clusterRole("kubun:node-proxier", [
      allow(READ, "", "endpoints namespaces nodes services"),
      allow(READ, DISCOVERY, "endpointslices"),
      allow(READ, NETWORKING, "ingressclasses ingresses"),
      // From zero to one replica; what a node's key may do of it, the subresource says.
      allow("patch", "apps", "deployments/scale"),
      recordEvents(),
    ]),
    // The leader's proxy writes it; a node's key must not.
    clusterRole("kubun:ingress-publisher", [
      allow("get patch update", NETWORKING, "ingresses/status"),
      allow("get patch update", "", "services/status"),
    ]),
    clusterRole("system:node-problem-detector", [
      allow("get", "", "nodes"),
      allow("patch", "", "nodes/status"),
      recordEvents(),
    ]),
    clusterRole("system:kubelet-api-admin", [
      allow(READ, "", "nodes"),
      allow("proxy", "", "nodes"),
      allow(
        "*",
        "",
        "nodes/checkpoint nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods " +
          "nodes/proxy nodes/spec nodes/stats",
      ),
    ]),
    clusterRole("system:node-bootstrapper", [
      allow("create get list watch", CERTIFICATES, "certificatesigningrequests"),
    ]),
    certificateRole("nodeclient"),
    certificateRole("selfnodeclient"),
    ...SIGNERS.map((signer) =>
      clusterRole(`system:certificates.k8s.io:${signer}-approver`, [
        allow("approve", CERTIFICATES, "signers", `kubernetes.io/${signer}`),
      ]),
    ),
  ];
}

const SIGNERS = [
  "kube-apiserver-client",
  "kube-apiserver-client-kubelet",
  "kubelet-serving",
  "legacy-unknown",
] as const;

function certificateRole(kind: string): ClusterRole {
  const name = `system:certificates.k8s.io:certificatesigningrequests:${kind}`;
  return clusterRole(name, [allow("create", CERTIFICATES, `certificatesigningrequests/${kind}`)]);
}

function serverRoles(): ClusterRole[] {
  return [
    clusterRole("system:kube-controller-manager", [
      recordEvents(),
      allow("create", COORDINATION, "leases"),
      allow("get update", COORDINATION, "leases", "kube-controller-manager"),
      allow("create", "", "secrets serviceaccounts"),
      allow("delete", "", "secrets"),
      allow("get", "", "configmaps namespaces secrets serviceaccounts"),
      allow("update", "", "secrets serviceaccounts"),
      ...reviews(),
      allow("list watch", "*", "*"),
      allow("create", "", "serviceaccounts/token"),
    ]),
    clusterRole("system:kube-scheduler", schedulerRules()),
    clusterRole("system:volume-scheduler", [
      allow("get list patch update watch", "", "persistentvolumes"),
      allow(READ, STORAGE, "storageclasses"),
      allow("get list patch update watch", "", "persistentvolumeclaims"),
    ]),
    clusterRole("system:kube-dns", [allow("list watch", "", "endpoints services")]),
    clusterRole("system:kube-aggregator", [allow(READ, "", "endpoints services")]),
    clusterRole("system:persistent-volume-provisioner", [
      allow("create delete get list watch", "", "persistentvolumes"),
      allow("get list update watch", "", "persistentvolumeclaims"),
      allow(READ, STORAGE, "storageclasses"),
      allow("watch", "", "events"),
      recordEvents(),
    ]),
  ];
}

function schedulerRules(): PolicyRule[] {
  return [
    recordEvents(),
    allow("create", COORDINATION, "leases"),
    allow("get list update watch", COORDINATION, "leases", "kube-scheduler"),
    allow("list watch", COORDINATION, "leasecandidates"),
    allow(READ, "", "nodes"),
    allow("delete get list watch", "", "pods"),
    allow("create", "", "bindings pods/binding"),
    allow("patch update", "", "pods/status"),
    allow(READ, "", "replicationcontrollers services"),
    allowIn(READ, ["apps", "extensions"], "replicasets"),
    allow(READ, "apps", "statefulsets"),
    allow(READ, "policy", "poddisruptionbudgets"),
    allow(READ, "", "persistentvolumeclaims persistentvolumes"),
    ...reviews(),
    allow(READ, STORAGE, "csinodes csidrivers csistoragecapacities volumeattachments"),
    allow(READ, "", "namespaces"),
    allow(READ, "scheduling.k8s.io", "priorityclasses"),
  ];
}
