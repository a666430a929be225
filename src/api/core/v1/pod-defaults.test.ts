import { describe, expect, test } from "bun:test";
import { defaulted } from "../../testing/kind-fixture.ts";
import { imageTag, pullPolicyFor } from "./image-tag.ts";
import type { Pod } from "./types.ts";

function pod(spec: Record<string, unknown>): NonNullable<Pod["spec"]> {
  const object = defaulted<Pod>("v1 Pod", { spec });
  if (object.spec === undefined) throw new Error("a pod has a spec");
  return object.spec;
}

describe("defaultPod", () => {
  test("defaultPod: fills in what a minimal pod leaves open", () => {
    expect(pod({ containers: [{ name: "a", image: "nginx:1.25" }] })).toEqual({
      containers: [
        {
          name: "a",
          image: "nginx:1.25",
          imagePullPolicy: "IfNotPresent",
          resources: {},
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      restartPolicy: "Always",
      schedulerName: "default-scheduler",
      securityContext: {},
      terminationGracePeriodSeconds: 30,
    });
  });

  test("defaultPod: keeps what is given", () => {
    const given = { restartPolicy: "Never", dnsPolicy: "None", terminationGracePeriodSeconds: 0 };
    expect(pod({ ...given, containers: [] })).toMatchObject(given);
  });

  test("defaultPod: requests what is limited", () => {
    const resources = { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "100m" } };
    const spec = pod({ containers: [{ name: "a", image: "a", resources }] });
    expect(spec.containers[0]?.resources?.requests).toEqual({ cpu: "100m", memory: "1Gi" });
  });

  test("defaultPod: completes probes and handlers", () => {
    const livenessProbe = { httpGet: { port: 80 }, periodSeconds: 0 };
    const lifecycle = { preStop: { httpGet: { port: 80, path: "/bye", scheme: "HTTPS" } } };
    const spec = pod({ containers: [{ name: "a", image: "a", livenessProbe, lifecycle }] });
    expect(spec.containers[0]?.livenessProbe).toEqual({
      httpGet: { port: 80, path: "/", scheme: "HTTP" },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    });
    expect(spec.containers[0]?.lifecycle).toEqual(lifecycle);
  });

  test("defaultPod: completes volumes", () => {
    const volumes = [
      { name: "a" },
      { name: "b", configMap: { name: "b" } },
      { name: "c", secret: { secretName: "c", defaultMode: 0o400 } },
      { name: "d", hostPath: { path: "/d" } },
      { name: "e", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
    ];
    expect(pod({ containers: [], volumes }).volumes).toEqual([
      { name: "a", emptyDir: {} },
      { name: "b", configMap: { name: "b", defaultMode: 420 } },
      { name: "c", secret: { secretName: "c", defaultMode: 256 } },
      { name: "d", hostPath: { path: "/d", type: "" } },
      {
        name: "e",
        projected: {
          defaultMode: 420,
          sources: [{ serviceAccountToken: { path: "token", expirationSeconds: 3600 } }],
        },
      },
    ]);
  });

  test("defaultPod: keeps both names of the account alike", () => {
    const spec = pod({ containers: [], serviceAccount: "robot" });
    expect([spec.serviceAccount, spec.serviceAccountName]).toEqual(["robot", "robot"]);
  });

  test("defaultPod: on the host's network a port is the host's", () => {
    const containers = [{ name: "a", image: "a", ports: [{ containerPort: 80 }] }];
    const ports = pod({ containers, hostNetwork: true }).containers[0]?.ports;
    expect(ports).toEqual([{ containerPort: 80, hostPort: 80, protocol: "TCP" }]);
  });

  test("defaultPod: takes well under 50 µs", () => {
    const spec = { containers: [{ name: "a", image: "a", ports: [{ containerPort: 80 }] }] };
    const rounds = 2000;
    const objects = Array.from({ length: rounds }, () => structuredClone(spec));
    const startMs = performance.now();
    for (const object of objects) pod(object);
    const perPodUs = ((performance.now() - startMs) * 1000) / rounds;
    expect(perPodUs).toBeLessThan(50);
  });
});

test("imageTag: a moving tag is pulled always, a digest or another tag is not", () => {
  expect(imageTag("nginx")).toBe("latest");
  expect(imageTag("localhost:5000/nginx")).toBe("latest");
  expect(imageTag("localhost:5000/nginx:2")).toBe("2");
  expect(imageTag("nginx@sha256:abc")).toBeUndefined();
  expect(pullPolicyFor("nginx:latest")).toBe("Always");
  expect(pullPolicyFor("nginx:1@sha256:abc")).toBe("IfNotPresent");
});
