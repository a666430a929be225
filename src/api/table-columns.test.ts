import { expect, test } from "bun:test";
import { cells } from "./testing/kind-fixture.ts";

const NOW = Date.UTC(2026, 0, 2);
const metadata = { name: "x", namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" };

test("serviceColumns: ports show their node ports", () => {
  const spec = {
    type: "NodePort",
    clusterIP: "127.43.0.9",
    ports: [
      { port: 80, nodePort: 30080 },
      { port: 53, protocol: "UDP" },
    ],
    selector: { b: "2", a: "1" },
  };
  expect(cells("v1 Service", { metadata, spec }, NOW)).toEqual({
    Name: "x",
    Type: "NodePort",
    "Cluster-IP": "127.43.0.9",
    "External-IP": "<none>",
    "Port(s)": "80:30080/TCP,53/UDP",
    Age: "24h",
    Selector: "a=1,b=2",
  });
});

test("serviceColumns: a load balancer without an address is pending", () => {
  const spec = { type: "LoadBalancer", ports: [{ port: 80 }] };
  expect(cells("v1 Service", { spec }, NOW)["External-IP"]).toBe("<pending>");
  const status = { loadBalancer: { ingress: [{ ip: "1.2.3.4" }] } };
  expect(cells("v1 Service", { spec, status }, NOW)["External-IP"]).toBe("1.2.3.4");
});

test("deploymentColumns: ready of wanted, and what it is made of", () => {
  const spec = {
    replicas: 3,
    selector: { matchLabels: { app: "a" }, matchExpressions: [{ key: "z", operator: "Exists" }] },
    template: { spec: { containers: [{ name: "a", image: "a:1" }] } },
  };
  const status = { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 };
  expect(cells("apps/v1 Deployment", { metadata, spec, status }, NOW)).toEqual({
    Name: "x",
    Ready: "2/3",
    "Up-to-date": 3,
    Available: 2,
    Age: "24h",
    Containers: "a",
    Images: "a:1",
    Selector: "app=a,z",
  });
});

test("nodeColumns: a cordoned node takes no pods", () => {
  const labels = { "node-role.kubernetes.io/control-plane": "" };
  const status = {
    conditions: [{ type: "Ready", status: "True" }],
    addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
  };
  const fields = { metadata: { name: "n", labels }, spec: { unschedulable: true }, status };
  expect(cells("v1 Node", fields, NOW)).toMatchObject({
    Status: "Ready,SchedulingDisabled",
    Roles: "control-plane",
    "Internal-IP": "127.0.0.1",
    "External-IP": "<none>",
  });
});

test("ingressColumns: three hosts are shown, the rest is counted", () => {
  const rules = ["a", "b", "c", "d"].map((host) => ({ host }));
  const spec = { rules, tls: [{}], ingressClassName: "kubun" };
  expect(cells("networking.k8s.io/v1 Ingress", { spec }, NOW)).toMatchObject({
    Class: "kubun",
    Hosts: "a,b,c + 1 more...",
    Ports: "80, 443",
  });
});

test("eventColumns: a repeated event shows when it came last", () => {
  const fields = {
    involvedObject: { kind: "Pod", name: "web" },
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-01T23:59:00Z",
    count: 4,
    type: "Warning",
    reason: "BackOff",
    message: "Back-off\n",
    source: { component: "kubelet", host: "n" },
  };
  expect(cells("v1 Event", fields, NOW)).toMatchObject({
    "Last Seen": "60s",
    "First Seen": "24h",
    Count: 4,
    Object: "pod/web",
    Source: "kubelet, n",
    Message: "Back-off",
  });
});

test("endpointSliceColumns: what is not there is unset", () => {
  const type = "discovery.k8s.io/v1 EndpointSlice";
  const empty = { addressType: "IPv4" };
  expect(cells(type, empty, NOW)).toMatchObject({ Ports: "<unset>", Endpoints: "<unset>" });
  const endpoints = [{ addresses: ["127.42.0.1"] }, { addresses: ["127.42.0.2"] }];
  const full = { addressType: "IPv4", ports: [{ port: 8080 }], endpoints };
  expect(cells(type, full, NOW)).toMatchObject({
    Ports: "8080",
    Endpoints: "127.42.0.1,127.42.0.2",
  });
});

test("persistentVolumeClaimColumns: size and modes show once it is bound", () => {
  const spec = { accessModes: ["ReadWriteOnce"], volumeName: "pv" };
  const status = { phase: "Bound", capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] };
  const type = "v1 PersistentVolumeClaim";
  expect(cells(type, { spec, status }, NOW)).toMatchObject({
    Status: "Bound",
    Capacity: "1Gi",
    "Access Modes": "RWO",
    VolumeMode: "Filesystem",
  });
});

test("horizontalPodAutoscalerColumns: both versions show the same", () => {
  const scaleTargetRef = { kind: "Deployment", name: "web" };
  for (const version of ["v1", "v2"]) {
    const fields = { spec: { scaleTargetRef, maxReplicas: 5 } };
    expect(cells(`autoscaling/${version} HorizontalPodAutoscaler`, fields, NOW)).toMatchObject({
      Reference: "Deployment/web",
      Targets: "cpu: <unknown>/80%",
      MinPods: "1",
      MaxPods: 5,
    });
  }
});
