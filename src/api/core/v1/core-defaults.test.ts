import { expect, test } from "bun:test";
import { defaulted } from "../../testing/kind-fixture.ts";
import type { LimitRange, Namespace, ReplicationController, Secret } from "./types.ts";

test("defaultSecret: plain text becomes data, over what is there", () => {
  const fields = { data: { a: "eA==", b: "eA==" }, stringData: { a: "Grüße" } };
  const secret = defaulted<Secret>("v1 Secret", fields);
  expect(secret.type).toBe("Opaque");
  expect(secret.data).toEqual({ a: "R3LDvMOfZQ==", b: "eA==" });
  expect(secret.stringData).toBeUndefined();
});

test("defaultNamespace: is labelled with its name, and finalized only while it lives", () => {
  const living = defaulted<Namespace>("v1 Namespace", {});
  expect(living.metadata.labels).toEqual({ "kubernetes.io/metadata.name": "x" });
  expect(living.spec?.finalizers).toEqual(["kubernetes"]);
  const metadata = { name: "x", deletionTimestamp: "2026-01-01T00:00:00Z" };
  expect(defaulted<Namespace>("v1 Namespace", { metadata }).spec).toBeUndefined();
});

test("defaultReplicationController: takes selector and labels from the template", () => {
  const template = { metadata: { labels: { app: "a" } }, spec: { containers: [] } };
  const fields = { spec: { template } };
  const controller = defaulted<ReplicationController>("v1 ReplicationController", fields);
  expect(controller.spec?.selector).toEqual({ app: "a" });
  expect(controller.metadata.labels).toEqual({ app: "a" });
  expect(controller.spec?.replicas).toBe(1);
});

test("defaultLimitRange: a maximum is the default, and that the default request", () => {
  const limits = [{ type: "Container", max: { cpu: "2" }, min: { memory: "1Mi" } }];
  const range = defaulted<LimitRange>("v1 LimitRange", { spec: { limits } });
  expect(range.spec?.limits[0]).toMatchObject({
    default: { cpu: "2" },
    defaultRequest: { cpu: "2", memory: "1Mi" },
  });
});
