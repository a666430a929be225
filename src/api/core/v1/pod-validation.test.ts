import { describe, expect, test } from "bun:test";
import { complaints, updateComplaints } from "../../testing/kind-fixture.ts";

const container = { name: "a", image: "a" };
const faults = (spec: Record<string, unknown>) => complaints("v1 Pod", { spec });
const containerFaults = (fields: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  faults({ containers: [{ ...container, ...fields }], ...more });

describe("validatePod", () => {
  test("validatePod: a minimal pod is fine", () => {
    expect(containerFaults({})).toEqual([]);
  });

  test("validatePod: containers are needed, with a name and an image", () => {
    expect(faults({ containers: [] })).toEqual(["spec.containers: Required value"]);
    expect(faults({ containers: [{}] })).toEqual([
      "spec.containers[0].name: Required value",
      "spec.containers[0].image: Required value",
    ]);
  });

  test("validatePod: no two containers share a name, of either kind", () => {
    expect(faults({ containers: [container, container], initContainers: [container] })).toEqual([
      'spec.containers[1].name: Duplicate value: "a"',
      'spec.initContainers[0].name: Duplicate value: "a"',
    ]);
  });

  test("validatePod: ports have a number, a protocol and a name of their own", () => {
    const ports = [
      { containerPort: 70000 },
      { containerPort: 80, name: "web" },
      { containerPort: 81, name: "web", protocol: "HTTP" },
    ];
    expect(containerFaults({ ports })).toEqual([
      "spec.containers[0].ports[0].containerPort: Invalid value: 70000: " +
        "must be between 1 and 65535, inclusive",
      'spec.containers[0].ports[2].name: Duplicate value: "web"',
      'spec.containers[0].ports[2].protocol: Unsupported value: "HTTP": ' +
        'supported values: "SCTP", "TCP", "UDP"',
    ]);
  });

  test("validatePod: a variable has one source", () => {
    const env = [
      { name: "A", value: "x", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "B", valueFrom: {} },
      { name: "C", valueFrom: { fieldRef: { fieldPath: "spec.hostname" } } },
      { name: "D", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: "" },
    ];
    const found = containerFaults({ env });
    expect(found).toHaveLength(4);
    expect(found[0]).toBe(
      'spec.containers[0].env[0].valueFrom: Invalid value: "": ' +
        "may not be specified when `value` is not empty",
    );
    expect(found[1]).toContain("must specify one of: `fieldRef`");
    expect(found[2]).toStartWith(
      'spec.containers[0].env[2].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.hostname"',
    );
    expect(found[3]).toBe("spec.containers[0].env[4].name: Required value");
  });

  test("validatePod: what is mounted is a volume, each at its own path", () => {
    const volumeMounts = [
      { name: "v", mountPath: "/v" },
      { name: "w", mountPath: "/v", subPath: "../x" },
    ];
    expect(containerFaults({ volumeMounts }, { volumes: [{ name: "v" }] })).toEqual([
      'spec.containers[0].volumeMounts[1].name: Not found: "w"',
      'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique',
      "spec.containers[0].volumeMounts[1].subPath: Invalid value: \"../x\": must not contain '..'",
    ]);
  });

  test("validatePod: a request is at most its limit", () => {
    const resources = { requests: { cpu: "2", gpu: "1" }, limits: { cpu: "500m" } };
    expect(containerFaults({ resources })).toEqual([
      'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": ' +
        "must be a standard resource type or fully qualified",
      'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": ' +
        "must be a standard resource for containers",
      'spec.containers[0].resources.requests: Invalid value: "2": ' +
        "must be less than or equal to cpu limit of 500m",
    ]);
  });

  test("validatePod: devices come whole, and are requested as they are limited", () => {
    const limits = { "example.com/gpu": "2500m", "example.com/tpu": "2" };
    const resources = { limits, requests: { ...limits, "example.com/tpu": "1" } };
    expect(containerFaults({ resources })).toEqual([
      'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "2500m": ' +
        "must be an integer",
      'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "2500m": ' +
        "must be an integer",
      'spec.containers[0].resources.requests: Invalid value: "1": ' +
        "must be equal to example.com/tpu limit of 2",
    ]);
  });

  test("validatePod: a probe has one handler, and liveness one success", () => {
    const livenessProbe = { successThreshold: 2, httpGet: { port: 80 }, tcpSocket: { port: 80 } };
    expect(containerFaults({ livenessProbe, readinessProbe: {} })).toEqual([
      "spec.containers[0].livenessProbe.tcpSocket: Forbidden: " +
        "may not specify more than 1 handler type",
      "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
      "spec.containers[0].readinessProbe: Required value: must specify a handler type",
    ]);
  });

  test("validatePod: volumes have one source and sound paths", () => {
    const volumes = [
      { name: "a", emptyDir: {}, hostPath: { path: "/a/../b" } },
      { name: "a", configMap: { items: [{ key: "k", path: "/k", mode: 0o1000 }] } },
      { name: "c", secret: {} },
    ];
    expect(containerFaults({}, { volumes })).toEqual([
      "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
      "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
      "spec.volumes[1].configMap.name: Required value",
      'spec.volumes[1].configMap.items[0].path: Invalid value: "/k": must be a relative path',
      "spec.volumes[1].configMap.items[0].mode: Invalid value: 512: " +
        "must be a number between 0 and 0777 (octal), both inclusive",
      'spec.volumes[1].name: Duplicate value: "a"',
      "spec.volumes[2].secret.secretName: Required value",
    ]);
  });

  test("validatePod: policies are those there are", () => {
    expect(containerFaults({ imagePullPolicy: "Often" }, { restartPolicy: "Maybe" })).toEqual([
      'spec.containers[0].imagePullPolicy: Unsupported value: "Often": ' +
        'supported values: "Always", "IfNotPresent", "Never"',
      'spec.restartPolicy: Unsupported value: "Maybe": ' +
        'supported values: "Always", "Never", "OnFailure"',
    ]);
    expect(containerFaults({}, { activeDeadlineSeconds: 0 })).toEqual([
      "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ]);
  });

  test("validatePod: tolerations and affinity make sense", () => {
    const tolerations = [{ operator: "Equal" }, { key: "a", operator: "Exists", value: "b" }];
    const affinity = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] },
    };
    const found = containerFaults({}, { tolerations, affinity });
    expect(found.map((text) => text.split(": ")[0])).toEqual([
      "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
      "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey",
      "spec.tolerations[0].operator",
      "spec.tolerations[1].operator",
    ]);
  });
});

describe("validatePodUpdate", () => {
  const old = { spec: { containers: [container], activeDeadlineSeconds: 10 } };
  const change = (spec: Record<string, unknown>) =>
    updateComplaints("v1 Pod", { spec: { ...old.spec, ...spec } }, old);

  test("validatePodUpdate: images, deadlines and new tolerations may change", () => {
    const toleration = { key: "a", operator: "Exists" };
    const containers = [{ ...container, image: "b", imagePullPolicy: "Always" }];
    const spec = { containers, activeDeadlineSeconds: 5, tolerations: [toleration] };
    expect(change(spec)).toEqual([]);
  });

  test("validatePodUpdate: nothing else may", () => {
    expect(change({ nodeName: "n" })).toEqual([
      "spec: Forbidden: pod updates may not change fields other than " +
        "`spec.containers[*].image`,`spec.initContainers[*].image`," +
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing " +
        "tolerations),`spec.terminationGracePeriodSeconds` " +
        "(allow it to be set to 1 if it was previously negative)",
    ]);
    expect(change({ containers: [container, { name: "b", image: "b" }] })).toEqual([
      "spec: Forbidden: pod updates may not add or remove containers",
    ]);
    expect(change({ activeDeadlineSeconds: 11 })).toEqual([
      "spec.activeDeadlineSeconds: Invalid value: 11: " +
        "must be less than or equal to previous value",
    ]);
  });

  test("validatePodUpdate: a toleration is not taken back", () => {
    const before = { spec: { ...old.spec, tolerations: [{ key: "a", operator: "Exists" }] } };
    expect(updateComplaints("v1 Pod", old, before)).toEqual([
      "spec.tolerations: Forbidden: " +
        "existing toleration can not be modified except its tolerationSeconds",
    ]);
  });
});
