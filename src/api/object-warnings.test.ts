import { expect, test } from "bun:test";
import { warningsOf } from "./object-warnings.ts";

function podWith(spec: Record<string, unknown>) {
  return { kind: "Pod", apiVersion: "v1", metadata: { name: "p" }, spec };
}

test("warningsOf: ports that are there twice", () => {
  const ports = [{ containerPort: 80 }, { containerPort: 80, protocol: "TCP" }];
  const udp = { containerPort: 80, protocol: "UDP" };
  const host = { containerPort: 80, hostPort: 8080 };
  const spec = { containers: [{ ports }, { ports: [udp, host] }] };
  expect(warningsOf(podWith(spec))).toEqual([
    "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
    "spec.containers[1].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
    "spec.containers[1].ports[1]: overlapping port definition with spec.containers[0].ports[1]",
  ]);
});

test("warningsOf: ambiguous host ports, and none for init containers that end", () => {
  const one = { containerPort: 80, hostPort: 80, hostIP: "127.0.0.1" };
  const other = { containerPort: 80, hostPort: 80 };
  const init = { ports: [{ containerPort: 80, hostPort: 80 }] };
  const spec = { initContainers: [init], containers: [{ ports: [one] }, { ports: [other] }] };
  expect(warningsOf(podWith(spec))).toEqual([
    "spec.containers[1].ports[0]: dangerously ambiguous port definition with " +
      "spec.containers[0].ports[0]",
  ]);
});

test("warningsOf: variables that hide others, in templates too", () => {
  const env = [
    { name: "a", value: "1" },
    { name: "a", value: "$(a):2" },
    { name: "a", value: "$(a)" },
    { name: "a", valueFrom: {} },
  ];
  const template = { spec: { containers: [{ env }] } };
  const hides = 'hides previous definition of "a", which may be dropped when using apply';
  const at = (path: string): string[] => [`${path}.env[2]: ${hides}`, `${path}.env[3]: ${hides}`];
  const deployment = { kind: "Deployment", metadata: {}, spec: { template } };
  expect(warningsOf(deployment)).toEqual(at("spec.template.spec.containers[0]"));
  const jobTemplate = { spec: { template } };
  const cronJob = { kind: "CronJob", metadata: {}, spec: { jobTemplate } };
  expect(warningsOf(cronJob)).toEqual(at("spec.jobTemplate.spec.template.spec.containers[0]"));
});

test("warningsOf: old names of node labels, and nothing for other kinds", () => {
  const nodeSelector = { "beta.kubernetes.io/os": "linux", toString: "x" };
  expect(warningsOf(podWith({ containers: [], nodeSelector }))).toEqual([
    'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" ' +
      "instead",
  ]);
  expect(warningsOf({ kind: "ConfigMap", metadata: {} })).toEqual([]);
});

test("warningsOf: kinds of other groups are not taken for pods", () => {
  const job = { kind: "Job", apiVersion: "batch.example.com/v1", metadata: { name: "j" } };
  expect(warningsOf({ ...job, spec: { template: { spec: { containers: "x" } } } })).toEqual([]);
});

test("warningsOf: conversion by webhooks is not silently another one", () => {
  const crd = { kind: "CustomResourceDefinition", apiVersion: "apiextensions.k8s.io/v1" };
  const versions = [{ name: "v1" }, { name: "v2" }];
  const spec = { conversion: { strategy: "Webhook" }, versions };
  expect(warningsOf({ ...crd, metadata: {}, spec })[0]).toContain("spec.conversion.strategy");
  const none = { conversion: { strategy: "None" }, versions };
  expect(warningsOf({ ...crd, metadata: {}, spec: none })).toEqual([]);
});
