import { describe, expect, test } from "bun:test";
import { complaints, defaulted, updateComplaints } from "./testing/kind-fixture.ts";

const RBAC = "rbac.authorization.k8s.io";

describe("rbac", () => {
  const roleRef = { kind: "Role", name: "reader" };

  test("defaultBinding: fills in the groups", () => {
    const subjects = [
      { kind: "User", name: "jane" },
      { kind: "ServiceAccount", name: "robot", namespace: "default" },
    ];
    expect(defaulted(`${RBAC}/v1 RoleBinding`, { roleRef, subjects })).toMatchObject({
      roleRef: { apiGroup: RBAC },
      subjects: [{ apiGroup: RBAC }, { name: "robot" }],
    });
  });

  test("validateRole: a rule says what is allowed on what", () => {
    const rules = [{}, { verbs: ["get"], nonResourceURLs: ["/healthz"] }];
    expect(complaints(`${RBAC}/v1 Role`, { rules })).toEqual([
      "rules[0].verbs: Required value: verbs must contain at least one value",
      "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
      "rules[0].resources: Required value: resource rules must supply at least one resource",
      'rules[1].nonResourceURLs: Invalid value: ["/healthz"]: ' +
        "namespaced rules cannot apply to non-resource URLs",
    ]);
  });

  test("validateBindingUpdate: the role stays", () => {
    const next = { roleRef: { ...roleRef, name: "writer" } };
    const found = updateComplaints(`${RBAC}/v1 RoleBinding`, next, { roleRef });
    expect(found).toHaveLength(1);
    expect(found[0]).toEndWith("cannot change roleRef");
  });
});

test("validateStorageClassUpdate: volumes were made by these rules", () => {
  const old = { provisioner: "a/b" };
  expect(updateComplaints("storage.k8s.io/v1 StorageClass", { provisioner: "a/c" }, old)).toEqual([
    "provisioner: Forbidden: updates to provisioner are forbidden.",
  ]);
});

test("validatePriorityClass: the highest priorities are the system's", () => {
  const type = "scheduling.k8s.io/v1 PriorityClass";
  expect(complaints(type, { value: 2_000_000_000 })).toEqual([
    "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
  ]);
  const system = { metadata: { name: "system-node-critical" }, value: 2_000_001_000 };
  expect(complaints(type, system)).toEqual([]);
  expect(updateComplaints(type, { value: 2 }, { value: 1 })).toEqual([
    "value: Forbidden: may not be changed in an update.",
  ]);
});

test("podDisruptionBudgets: say one of both", () => {
  const found = complaints("policy/v1 PodDisruptionBudget", {
    spec: { minAvailable: "101%", maxUnavailable: 1 },
  });
  expect(found.map((text) => text.split(": ")[0])).toEqual(["spec", "spec.minAvailable"]);
});

test("leases: last some time", () => {
  const spec = { leaseDurationSeconds: 0 };
  expect(complaints("coordination.k8s.io/v1 Lease", { spec })).toEqual([
    "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
  ]);
  // A holder that lets go leaves its name empty.
  const released = { holderIdentity: "", leaseDurationSeconds: 1 };
  expect(complaints("coordination.k8s.io/v1 Lease", { spec: released })).toEqual([]);
});

test("validateEndpointSlice: addresses are of the slice's type", () => {
  const fields = { addressType: "IPv4", endpoints: [{ addresses: ["fd00::1"] }, {}] };
  expect(complaints("discovery.k8s.io/v1 EndpointSlice", fields)).toEqual([
    'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address',
    "endpoints[1].addresses: Required value: must contain at least 1 address",
  ]);
});

test("validateHorizontalPodAutoscaler: scales something, between two counts", () => {
  const spec = { minReplicas: 3, maxReplicas: 2, scaleTargetRef: { kind: "Deployment" } };
  expect(complaints("autoscaling/v2 HorizontalPodAutoscaler", { spec })).toEqual([
    "spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`",
    "spec.scaleTargetRef.name: Required value",
  ]);
});

test("runtimeClasses: name their handler, for good", () => {
  const type = "node.k8s.io/v1 RuntimeClass";
  expect(complaints(type, {})).toEqual(["handler: Required value"]);
  expect(updateComplaints(type, { handler: "b" }, { handler: "a" })).toEqual([
    'handler: Invalid value: "b": field is immutable',
  ]);
});
