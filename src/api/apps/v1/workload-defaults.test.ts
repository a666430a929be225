import { expect, test } from "bun:test";
import { defaulted } from "../../testing/kind-fixture.ts";
import type { DaemonSet, Deployment, StatefulSet } from "./types.ts";

const template = { spec: { containers: [{ name: "a", image: "a" }] } };
const selector = { matchLabels: { app: "a" } };

test("defaultDeployment: rolls a quarter at a time, and keeps ten revisions", () => {
  const { spec } = defaulted<Deployment>("apps/v1 Deployment", { spec: { selector, template } });
  expect(spec).toMatchObject({
    progressDeadlineSeconds: 600,
    replicas: 1,
    revisionHistoryLimit: 10,
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
    template: { spec: { restartPolicy: "Always" } },
  });
  // Only a pod itself has these, never its template.
  expect(spec?.template.spec?.enableServiceLinks).toBeUndefined();
});

test("defaultDeployment: recreating takes no parameters", () => {
  const fields = { spec: { selector, template, strategy: { type: "Recreate" }, replicas: 0 } };
  const { spec } = defaulted<Deployment>("apps/v1 Deployment", fields);
  expect(spec).toMatchObject({ replicas: 0, strategy: { type: "Recreate" } });
  expect(spec?.strategy?.rollingUpdate).toBeUndefined();
});

test("defaultStatefulSet: goes in order, and types its claims", () => {
  const fields = { spec: { selector, template, volumeClaimTemplates: [{ metadata: {} }] } };
  expect(defaulted<StatefulSet>("apps/v1 StatefulSet", fields).spec).toMatchObject({
    persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
    podManagementPolicy: "OrderedReady",
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
    volumeClaimTemplates: [
      { apiVersion: "v1", kind: "PersistentVolumeClaim", spec: { volumeMode: "Filesystem" } },
    ],
  });
});

test("defaultDaemonSet: replaces one node's pod at a time", () => {
  const fields = { spec: { selector, template } };
  expect(defaulted<DaemonSet>("apps/v1 DaemonSet", fields).spec?.updateStrategy).toEqual({
    type: "RollingUpdate",
    rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
  });
});
