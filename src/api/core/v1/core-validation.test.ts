import { describe, expect, test } from "bun:test";
import { complaints, updateComplaints } from "../../testing/kind-fixture.ts";

describe("validateService", () => {
  const service = (spec: Record<string, unknown>) => complaints("v1 Service", { spec });

  test("validateService: ports are needed, and named when there are more", () => {
    expect(service({})).toEqual(["spec.ports: Required value"]);
    expect(service({ ports: [{ port: 80 }, { port: 80, name: "b" }] })).toEqual([
      "spec.ports[0].name: Required value",
      'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}',
    ]);
    expect(service({ clusterIP: "None" })).toEqual([]);
  });

  test("validateService: node ports are for types that have them", () => {
    const ports = [{ port: 80, nodePort: 30080 }];
    expect(service({ ports })).toEqual([
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ]);
    expect(service({ type: "NodePort", ports })).toEqual([]);
  });

  test("validateService: an ExternalName has a name, and no address", () => {
    expect(service({ type: "ExternalName" })).toEqual(["spec.externalName: Required value"]);
  });

  test("validateServiceUpdate: an address stays", () => {
    const at = (clusterIP: string) => ({ spec: { ports: [{ port: 80 }], clusterIP } });
    expect(updateComplaints("v1 Service", at("127.43.0.2"), at("127.43.0.1"))).toEqual([
      'spec.clusterIPs[0]: Invalid value: ["127.43.0.2"]: may not change once set',
    ]);
  });
});

describe("validateConfigMap", () => {
  test("validateConfigMap: keys become files", () => {
    const found = complaints("v1 ConfigMap", { data: { "a/b": "" }, binaryData: { c: "" } });
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith(
      'data[a/b]: Invalid value: "a/b": a valid config key must consist of',
    );
  });

  test("validateConfigMap: holds a mebibyte at most", () => {
    const data = { a: "x".repeat(1024 * 1024 + 1) };
    expect(complaints("v1 ConfigMap", { data })).toEqual([
      "[]: Too long: may not be more than 1048576 bytes",
    ]);
  });

  test("validateConfigUpdate: what is immutable stays", () => {
    const old = { immutable: true, data: { a: "1" } };
    expect(updateComplaints("v1 ConfigMap", { data: { a: "2" } }, old)).toEqual([
      "immutable: Forbidden: field is immutable when `immutable` is set",
      "data: Forbidden: field is immutable when `immutable` is set",
    ]);
  });
});

describe("validateSecret", () => {
  test("validateSecret: a type promises its keys", () => {
    expect(complaints("v1 Secret", { type: "kubernetes.io/tls" })).toEqual([
      "data[tls.crt]: Required value",
      "data[tls.key]: Required value",
    ]);
    const data = { ".dockerconfigjson": "bm90IGpzb24=" };
    expect(complaints("v1 Secret", { type: "kubernetes.io/dockerconfigjson", data })).toEqual([
      'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be valid JSON',
    ]);
  });

  test("validateSecretUpdate: the type stays", () => {
    expect(updateComplaints("v1 Secret", { type: "a" }, {})).toEqual([
      'type: Invalid value: "a": field is immutable',
    ]);
  });
});

describe("validatePersistentVolumeClaim", () => {
  const claim = (spec: Record<string, unknown>) => ({
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
  });

  test("validatePersistentVolumeClaim: says how much, and how it is used", () => {
    expect(complaints("v1 PersistentVolumeClaim", { spec: {} })).toEqual([
      "spec.accessModes: Required value: at least 1 access mode is required",
      "spec.resources[storage]: Required value",
    ]);
    expect(complaints("v1 PersistentVolumeClaim", claim({}))).toEqual([]);
  });

  test("validatePersistentVolumeClaimUpdate: binds once, and does not shrink", () => {
    const type = "v1 PersistentVolumeClaim";
    expect(updateComplaints(type, claim({ volumeName: "a" }), claim({}))).toEqual([]);
    const found = updateComplaints(type, claim({ volumeName: "b" }), claim({ volumeName: "a" }));
    expect(found[0]).toStartWith("spec: Forbidden: spec is immutable after creation except");
    const smaller = claim({ resources: { requests: { storage: "1Mi" } } });
    expect(updateComplaints(type, smaller, claim({}))).toEqual([
      "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ]);
  });
});

test("validateLimitRange: limits are in order", () => {
  const limits = [{ type: "Pod", min: { cpu: "2" }, max: { cpu: "1" } }];
  expect(complaints("v1 LimitRange", { spec: { limits } })).toEqual([
    'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
  ]);
});

test("validateEvent: an event lives beside what it is about", () => {
  const about = (namespace: string) => ({ involvedObject: { kind: "Pod", name: "a", namespace } });
  expect(complaints("v1 Event", about("default"))).toEqual([]);
  expect(complaints("v1 Event", about("other"))).toEqual([
    'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
  ]);
});

test("validateNode: taints have an effect, each once", () => {
  const taint = { key: "a", effect: "NoSchedule" };
  const found = complaints("v1 Node", { spec: { taints: [taint, taint, { key: "b" }] } });
  expect(found.map((text) => text.split(": ").slice(0, 2).join(": "))).toEqual([
    "spec.taints[1]: Duplicate value",
    "spec.taints[2].effect: Required value",
  ]);
});

test("validateResourceQuota: limits what there is a name for, objects in whole numbers", () => {
  const hard = {
    "count/deployments.apps": "5",
    "example.com/gpu": "1",
    "requests.cpu": "500m",
    "requests.storage": "1Gi",
    pods: "1500m",
    things: "1",
  };
  expect(complaints("v1 ResourceQuota", { spec: { hard } })).toEqual([
    'spec.hard[pods]: Invalid value: "1500m": must be an integer',
    'spec.hard[things]: Invalid value: "things": ' +
      "must be a standard resource type or fully qualified",
    'spec.hard[things]: Invalid value: "things": must be a standard resource for quota',
  ]);
});
