import { describe, expect, test } from "bun:test";
import { complaints, updateComplaints } from "../../testing/kind-fixture.ts";

const selector = { matchLabels: { app: "a" } };
const template = {
  metadata: { labels: { app: "a" } },
  spec: { containers: [{ name: "a", image: "a" }] },
};
const deployment = (spec: Record<string, unknown>) => ({ spec: { selector, template, ...spec } });

describe("validateDeployment", () => {
  test("validateDeployment: an ordinary one is fine", () => {
    expect(complaints("apps/v1 Deployment", deployment({}))).toEqual([]);
  });

  test("validateDeployment: the selector selects its own pods", () => {
    const other = deployment({ selector: { matchLabels: { app: "b" } } });
    expect(complaints("apps/v1 Deployment", other)).toEqual([
      'spec.template.metadata.labels: Invalid value: {"app":"a"}: ' +
        "`selector` does not match template `labels`",
    ]);
    expect(complaints("apps/v1 Deployment", deployment({ selector: {} }))).toEqual([
      "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
    ]);
    const none = { spec: { template } };
    expect(complaints("apps/v1 Deployment", none)).toEqual([
      "spec.selector: Required value",
      'spec.template.metadata.labels: Invalid value: {"app":"a"}: ' +
        "`selector` does not match template `labels`",
    ]);
  });

  test("validateDeployment: counts and strategy make sense", () => {
    const rollingUpdate = { maxUnavailable: 0, maxSurge: "0%" };
    const strategy = { type: "RollingUpdate", rollingUpdate };
    expect(complaints("apps/v1 Deployment", deployment({ replicas: -1, strategy }))).toEqual([
      "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
      "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: " +
        "may not be 0 when `maxSurge` is 0",
    ]);
    const recreate = { strategy: { type: "Recreate", rollingUpdate } };
    expect(complaints("apps/v1 Deployment", deployment(recreate))).toEqual([
      "spec.strategy.rollingUpdate: Forbidden: " +
        "may not be specified when strategy `type` is 'Recreate'",
    ]);
  });

  test("validateDeployment: its pods always restart", () => {
    const never = { ...template, spec: { ...template.spec, restartPolicy: "Never" } };
    expect(complaints("apps/v1 Deployment", deployment({ template: never }))).toEqual([
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ]);
  });

  test("validateSelectorUpdate: the selector stays", () => {
    const matchLabels = { app: "a", tier: "b" };
    const next = deployment({
      selector: { matchLabels },
      template: { ...template, metadata: { labels: matchLabels } },
    });
    expect(updateComplaints("apps/v1 Deployment", next, deployment({}))).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"a","tier":"b"}}: field is immutable',
    ]);
  });
});

describe("validateStatefulSet", () => {
  test("validateStatefulSetUpdate: only some fields may change", () => {
    const old = deployment({ serviceName: "a" });
    const scaled = deployment({ serviceName: "a", replicas: 5 });
    expect(updateComplaints("apps/v1 StatefulSet", scaled, old)).toEqual([]);
    const found = updateComplaints("apps/v1 StatefulSet", deployment({ serviceName: "b" }), old);
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith(
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas'",
    );
  });
});

describe("validateDaemonSet", () => {
  test("validateDaemonSet: knows its strategies", () => {
    const fields = deployment({ updateStrategy: { type: "Recreate" } });
    expect(complaints("apps/v1 DaemonSet", fields)).toEqual([
      'spec.updateStrategy.type: Unsupported value: "Recreate": ' +
        'supported values: "OnDelete", "RollingUpdate"',
    ]);
  });
});
