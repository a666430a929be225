import type { ResourceDefinition } from "../../api/index.ts";
import { groupResourceText } from "../../apimachinery/index.ts";

/** A body without metadata that the API accepts. */
type Sample = Readonly<Record<string, unknown>>;

const labels = { app: "sample" };
const podSpec = { containers: [{ name: "app", image: "app:1" }] };
const template = { metadata: { labels }, spec: podSpec };
const selector = { matchLabels: labels };
const jobSpec = { template: { spec: { ...podSpec, restartPolicy: "Never" } } };
const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "sample" };
const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "sample" };
const rule = {
  operations: ["CREATE"],
  apiGroups: ["example.com"],
  apiVersions: ["v1"],
  resources: ["samples"],
};
const subject = { kind: "Pod", namespace: "default", name: "sample" };

/** By resource and group; kinds that need nothing are left out. */
const SAMPLES: Readonly<Record<string, Sample>> = {
  "certificatesigningrequests.certificates.k8s.io": {
    spec: {
      request: Buffer.from(
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
      ).toString("base64"),
      signerName: "kubernetes.io/kube-apiserver-client",
      usages: ["client auth"],
    },
  },
  events: { involvedObject: subject, reason: "Tested" },
  limitranges: { spec: { limits: [{ type: "Container", max: { cpu: "1" } }] } },
  persistentvolumeclaims: {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  },
  persistentvolumes: {
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      hostPath: { path: "/tmp/sample" },
    },
  },
  pods: { spec: podSpec },
  podtemplates: { template },
  replicationcontrollers: { spec: { selector: labels, template } },
  resourcequotas: { spec: { hard: { pods: "10" } } },
  services: { spec: { ports: [{ port: 80 }] } },
  "controllerrevisions.apps": { revision: 1, data: {} },
  "daemonsets.apps": { spec: { selector, template } },
  "deployments.apps": { spec: { selector, template } },
  "replicasets.apps": { spec: { selector, template } },
  "statefulsets.apps": { spec: { serviceName: "sample", selector, template } },
  "horizontalpodautoscalers.autoscaling": { spec: { scaleTargetRef, maxReplicas: 3 } },
  "cronjobs.batch": { spec: { schedule: "* * * * *", jobTemplate: { spec: jobSpec } } },
  "jobs.batch": { spec: jobSpec },
  "endpointslices.discovery.k8s.io": { addressType: "IPv4", endpoints: [], ports: [] },
  "events.events.k8s.io": {
    eventTime: "2026-01-01T00:00:00.000000Z",
    reportingController: "example.com/tester",
    reportingInstance: "tester",
    action: "Test",
    reason: "Tested",
    type: "Normal",
    regarding: subject,
  },
  "ingressclasses.networking.k8s.io": { spec: { controller: "example.com/ingress" } },
  "ingresses.networking.k8s.io": {
    spec: { defaultBackend: { service: { name: "sample", port: { number: 80 } } } },
  },
  "ipaddresses.networking.k8s.io": { spec: { parentRef: { resource: "services", name: "a" } } },
  "networkpolicies.networking.k8s.io": { spec: { podSelector: {} } },
  "servicecidrs.networking.k8s.io": { spec: { cidrs: ["10.9.0.0/24"] } },
  "runtimeclasses.node.k8s.io": { handler: "sample" },
  "poddisruptionbudgets.policy": { spec: { minAvailable: 1, selector } },
  "clusterrolebindings.rbac.authorization.k8s.io": { roleRef: { ...roleRef, kind: "ClusterRole" } },
  "rolebindings.rbac.authorization.k8s.io": { roleRef },
  "priorityclasses.scheduling.k8s.io": { value: 5 },
  "customresourcedefinitions.apiextensions.k8s.io": {
    spec: {
      group: "example.com",
      names: { plural: "samples", kind: "Sample" },
      scope: "Namespaced",
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object" } },
        },
      ],
    },
  },
  "validatingadmissionpolicies.admissionregistration.k8s.io": {
    spec: { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: "true" }] },
  },
  "validatingadmissionpolicybindings.admissionregistration.k8s.io": {
    spec: { policyName: "sample", validationActions: ["Deny"] },
  },
  "csidrivers.storage.k8s.io": { spec: {} },
  "csinodes.storage.k8s.io": { spec: { drivers: [] } },
  "csistoragecapacities.storage.k8s.io": { storageClassName: "sample" },
  "storageclasses.storage.k8s.io": { provisioner: "example.com/disk" },
  "volumeattachments.storage.k8s.io": {
    spec: { attacher: "sample", nodeName: "sample", source: { persistentVolumeName: "sample" } },
  },
  "volumeattributesclasses.storage.k8s.io": { driverName: "sample", parameters: { a: "b" } },
};

export function sampleOf(definition: ResourceDefinition): Sample {
  return SAMPLES[groupResourceText(definition)] ?? {};
}
