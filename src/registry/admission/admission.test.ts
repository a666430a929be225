import { describe, expect, test } from "bun:test";
import {
  LIMIT_RANGES,
  NAMESPACES,
  PERSISTENT_VOLUME_CLAIMS,
  type Pod,
  PODS,
  PRIORITY_CLASSES,
  RESOURCE_QUOTAS,
  SERVICES,
} from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import { memoryRegistry, pod, type RegistryFixture } from "../testing/registry-fixture.ts";

const object = (kind: string, name: string, fields: object, apiVersion = "v1"): KubeObject => ({
  kind,
  apiVersion,
  metadata: { name },
  ...fields,
});

const quota = (name: string, hard: Record<string, string>, more: object = {}): KubeObject =>
  object("ResourceQuota", name, { spec: { hard, ...more } });

const container = (name: string, resources: object): object => ({
  name,
  image: "app:1",
  imagePullPolicy: "IfNotPresent",
  terminationMessagePath: "/dev/termination-log",
  terminationMessagePolicy: "File",
  resources,
});

const podWith = (name: string, ...resources: object[]): KubeObject =>
  pod(name, { containers: resources.map((one, index) => container(`c${index}`, one)) });

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "admitted",
    (error: unknown) => (error as Error).message,
  );
}

const createPod = ({ resource }: RegistryFixture, wanted: KubeObject, options = {}) =>
  resource(PODS).create("default", wanted, options);

describe("ResourceQuota", () => {
  test("ResourceQuota: refuses what exceeds it or leaves amounts out", async () => {
    await using fixture = await memoryRegistry();
    const quotas = fixture.resource(RESOURCE_QUOTAS);
    const hard = { pods: "3", "requests.cpu": "1", "limits.memory": "1Gi" };
    await quotas.create("default", quota("q", hard));
    expect(await refusal(createPod(fixture, podWith("bare", {}, {})))).toBe(
      'pods "bare" is forbidden: failed quota: q: ' +
        "must specify limits.memory for: c0,c1; requests.cpu for: c0,c1",
    );
    const fits = { requests: { cpu: "600m", memory: "1Mi" }, limits: { memory: "512Mi" } };
    await createPod(fixture, podWith("a", fits));
    const big = { requests: { cpu: "500m" }, limits: { memory: "600Mi" } };
    expect(await refusal(createPod(fixture, podWith("b", big)))).toBe(
      'pods "b" is forbidden: exceeded quota: q, ' +
        "requested: limits.memory=600Mi,requests.cpu=500m, " +
        "used: limits.memory=512Mi,requests.cpu=600m, limited: limits.memory=1Gi,requests.cpu=1",
    );
    await fixture.resource(PODS).delete("default", "a", { gracePeriodSeconds: 0 });
    const dryRun = { dryRun: true };
    expect(await refusal(createPod(fixture, podWith("b", big), dryRun))).toBe("admitted");
    expect(await refusal(createPod(fixture, podWith("b", big)))).toBe("admitted");
  });

  test("ResourceQuota: gives one place once, however many ask at a time", async () => {
    await using fixture = await memoryRegistry();
    await fixture.resource(RESOURCE_QUOTAS).create("default", quota("q", { pods: "5" }));
    const asked = Array.from({ length: 20 }, (_, index) => createPod(fixture, pod(`p${index}`)));
    const done = await Promise.all(asked.map((one) => refusal(one)));
    expect(done.filter((text) => text === "admitted").length).toBe(5);
    expect(done.at(-1)).toContain(
      "exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5",
    );
    // What failed for another reason holds no room.
    await fixture.resource(PODS).delete("default", "p0", { gracePeriodSeconds: 0 });
    expect(await refusal(createPod(fixture, pod("p1")))).toContain("already exists");
    expect(await refusal(createPod(fixture, pod("q")))).toBe("admitted");
  });

  test("ResourceQuota: counts objects, node ports and storage, and what updates add", async () => {
    await using fixture = await memoryRegistry();
    const hard = {
      "count/configmaps": "0",
      "services.nodeports": "1",
      "requests.storage": "1Gi",
      "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "0",
    };
    await fixture.resource(RESOURCE_QUOTAS).create("default", quota("q", hard));
    const spec = { type: "NodePort", ports: [{ port: 80, protocol: "TCP", targetPort: 80 }] };
    const services = fixture.resource(SERVICES);
    const service = (name: string, type: string): KubeObject =>
      object("Service", name, {
        spec: { ...structuredClone(spec), type, sessionAffinity: "None" },
      });
    await services.create("default", service("a", "NodePort"));
    await services.create("default", service("b", "ClusterIP"));
    const change = (current: KubeObject): KubeObject => ({
      ...current,
      spec: { ...(current["spec"] as object), type: "NodePort" },
    });
    expect(await refusal(services.update("default", "b", change))).toBe(
      'services "b" is forbidden: exceeded quota: q, requested: services.nodeports=1, ' +
        "used: services.nodeports=1, limited: services.nodeports=1",
    );
    const claim = (storage: string, storageClassName?: string): KubeObject =>
      object("PersistentVolumeClaim", "p", {
        spec: {
          accessModes: ["ReadWriteOnce"],
          resources: { requests: { storage } },
          volumeMode: "Filesystem",
          ...(storageClassName === undefined ? {} : { storageClassName }),
        },
      });
    const claims = fixture.resource(PERSISTENT_VOLUME_CLAIMS);
    expect(await refusal(claims.create("default", claim("2Gi")))).toContain("requests.storage=2Gi");
    expect(await refusal(claims.create("default", claim("1Gi", "fast")))).toContain(
      "requested: fast.storageclass.storage.k8s.io/persistentvolumeclaims=1",
    );
    expect(await refusal(claims.create("default", claim("1Gi")))).toBe("admitted");
  });

  test("ResourceQuota: its scopes choose the pods it counts", async () => {
    await using fixture = await memoryRegistry();
    const quotas = fixture.resource(RESOURCE_QUOTAS);
    const none = { pods: "0" };
    await quotas.create("default", quota("short", none, { scopes: ["Terminating"] }));
    await quotas.create("default", quota("best", none, { scopes: ["BestEffort"] }));
    const fields = { value: 5, preemptionPolicy: "Never" };
    const high = object("PriorityClass", "high", fields, "scheduling.k8s.io/v1");
    await fixture.resource(PRIORITY_CLASSES).create("", high);
    const matchExpressions = [{ scopeName: "PriorityClass", operator: "In", values: ["high"] }];
    await quotas.create("default", quota("high", none, { scopeSelector: { matchExpressions } }));
    const cpu = { requests: { cpu: "1m" } };
    expect(await refusal(createPod(fixture, pod("a")))).toContain("exceeded quota: best");
    const short = podWith("b", cpu);
    Object.assign((short as Pod).spec ?? {}, { activeDeadlineSeconds: 5 });
    expect(await refusal(createPod(fixture, short))).toContain("exceeded quota: short");
    const urgent = podWith("c", cpu);
    Object.assign((urgent as Pod).spec ?? {}, { priorityClassName: "high" });
    expect(await refusal(createPod(fixture, urgent))).toContain("exceeded quota: high");
    expect(await refusal(createPod(fixture, podWith("d", cpu)))).toBe("admitted");
  });
});

describe("LimitRanger", () => {
  const range = (...limits: object[]): KubeObject =>
    object("LimitRange", "r", { spec: { limits } });

  test("LimitRanger: gives containers the namespace's limits, and their class", async () => {
    await using fixture = await memoryRegistry();
    const limits = {
      default: { cpu: "1", memory: "1Gi" },
      defaultRequest: { cpu: "1", memory: "1Gi" },
    };
    const wanted = range({ type: "Container", ...limits });
    await fixture.resource(LIMIT_RANGES).create("default", wanted);
    const { object: stored } = await createPod(fixture, podWith("a", { limits: { cpu: "2" } }, {}));
    const { metadata, spec, status } = stored as Pod;
    expect(spec?.containers.map(({ resources }) => resources)).toEqual([
      { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "2", memory: "1Gi" } },
      { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } },
    ]);
    expect(metadata.annotations?.["kubernetes.io/limit-ranger"]).toBe(
      "LimitRanger plugin set: cpu, memory request for container c0; " +
        "memory limit for container c0; cpu, memory request for container c1; " +
        "cpu, memory limit for container c1",
    );
    expect(status?.qosClass).toBe("Burstable");
  });

  test("LimitRanger: refuses in Kubernetes' words what is out of bounds", async () => {
    await using fixture = await memoryRegistry();
    await fixture
      .resource(LIMIT_RANGES)
      .create(
        "default",
        range(
          { type: "Container", min: { cpu: "100m" }, max: { memory: "1Gi" } },
          { type: "Pod", max: { cpu: "2" }, maxLimitRequestRatio: { cpu: "2" } },
          { type: "PersistentVolumeClaim", min: { storage: "1Gi" } },
        ),
      );
    const cases: [object, string][] = [
      [
        { limits: { cpu: "1" }, requests: { cpu: "1" } },
        "maximum memory usage per Container is 1Gi.  No limit is specified",
      ],
      [
        { limits: { cpu: "1", memory: "2Gi" }, requests: { cpu: "50m" } },
        "[minimum cpu usage per Container is 100m, but request is 50m, " +
          "maximum memory usage per Container is 1Gi, but limit is 2Gi, " +
          "cpu max limit to request ratio per Pod is 2, but provided ratio is 20.000000]",
      ],
      [
        { limits: { cpu: "3", memory: "1Gi" }, requests: { cpu: "3" } },
        "maximum cpu usage per Pod is 2, but limit is 3",
      ],
      [{ limits: { cpu: "2", memory: "1Gi" }, requests: { cpu: "1" } }, ""],
    ];
    for (const [resources, why] of cases) {
      const text = await refusal(createPod(fixture, podWith("p", resources)));
      expect(text).toBe(why === "" ? "admitted" : `pods "p" is forbidden: ${why}`);
    }
  });
});

describe("Priority", () => {
  test("Priority: takes number and policy from the class, and neither from the pod", async () => {
    await using fixture = await memoryRegistry();
    const classes = fixture.resource(PRIORITY_CLASSES);
    const fields = { value: 7, globalDefault: true, preemptionPolicy: "Never" };
    await classes.create("", object("PriorityClass", "seven", fields, "scheduling.k8s.io/v1"));
    const { object: stored } = await createPod(fixture, pod("a"));
    expect((stored as Pod).spec).toMatchObject({
      priority: 7,
      priorityClassName: "seven",
      preemptionPolicy: "Never",
    });
    expect(await refusal(createPod(fixture, pod("b", { priority: 3 })))).toBe(
      'pods "b" is forbidden: the integer value of priority (3) must not be provided in pod ' +
        "spec; priority admission controller computed 7 from the given PriorityClass name",
    );
    const policy = { preemptionPolicy: "PreemptLowerPriority" };
    expect(await refusal(createPod(fixture, pod("c", policy)))).toContain(
      "string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec",
    );
    expect(await refusal(createPod(fixture, pod("d", { priorityClassName: "x" })))).toBe(
      'pods "d" is forbidden: no PriorityClass with name x was found',
    );
  });
});

describe("PodSecurity", () => {
  const LEVEL = "pod-security.kubernetes.io/enforce";
  const label = async ({ resource }: RegistryFixture, labels: object): Promise<string[]> => {
    const warnings: string[] = [];
    await resource(NAMESPACES).update(
      "",
      "default",
      (current) => ({ ...current, metadata: { ...current.metadata, labels: { ...labels } } }),
      { warn: (text) => void warnings.push(text) },
    );
    return warnings;
  };

  test("PodSecurity: restricted refuses with everything that is missing", async () => {
    await using fixture = await memoryRegistry();
    await label(fixture, { [LEVEL]: "restricted" });
    expect(await refusal(createPod(fixture, pod("a")))).toBe(
      'pods "a" is forbidden: violates PodSecurity "restricted:latest": ' +
        "allowPrivilegeEscalation != false " +
        '(container "app" must set securityContext.allowPrivilegeEscalation=false), ' +
        "unrestricted capabilities " +
        '(container "app" must set securityContext.capabilities.drop=["ALL"]), ' +
        "runAsNonRoot != true " +
        '(pod or container "app" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "app" must set ' +
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
    const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
    const good = podWith("b", {});
    const { spec } = good as Pod;
    Object.assign(spec?.containers[0] ?? {}, { securityContext });
    Object.assign(spec ?? {}, {
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(await refusal(createPod(fixture, good))).toBe("admitted");
  });

  test("PodSecurity: baseline refuses what reaches the node, and warns of it first", async () => {
    await using fixture = await memoryRegistry();
    const privileged = container("c", {});
    const wanted = (name: string): KubeObject =>
      pod(name, {
        hostNetwork: true,
        containers: [
          { ...privileged, securityContext: { privileged: true, capabilities: { add: ["X"] } } },
        ],
        volumes: [{ name: "v", hostPath: { path: "/", type: "" } }],
      });
    const text =
      'non-default capabilities (container "c" must not include "X" in ' +
      "securityContext.capabilities.add), host namespaces (hostNetwork=true), " +
      'hostPath volumes (volume "v"), ' +
      'privileged (container "c" must not set securityContext.privileged=true)';
    await label(fixture, { "pod-security.kubernetes.io/warn": "baseline" });
    const warnings: string[] = [];
    await createPod(fixture, wanted("a"), { warn: (one: string) => void warnings.push(one) });
    expect(warnings).toEqual([`would violate PodSecurity "baseline:latest": ${text}`]);
    expect(await label(fixture, { [LEVEL]: "baseline", [`${LEVEL}-version`]: "v1.30" })).toEqual([
      'existing pods in namespace "default" violate the new PodSecurity enforce level ' +
        '"baseline:v1.30"',
      "a: non-default capabilities, host namespaces, hostPath volumes, privileged",
    ]);
    expect(await refusal(createPod(fixture, wanted("b")))).toBe(
      `pods "b" is forbidden: violates PodSecurity "baseline:v1.30": ${text}`,
    );
    expect(await refusal(createPod(fixture, pod("c")))).toBe("admitted");
    expect(await refusal(label(fixture, { [LEVEL]: "none" }))).toContain(
      'Invalid value: "none": must be one of privileged, baseline, restricted',
    );
  });
});
