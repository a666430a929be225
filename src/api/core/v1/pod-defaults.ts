import { defaultPodLevelRequests } from "./pod-level-resources.ts";
import { defaultVolume } from "./volume-defaults.ts";
import { pullPolicyFor } from "./image-tag.ts";
import type {
  Container,
  EnvVar,
  EphemeralContainer,
  LifecycleHandler,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
} from "./types.ts";

const DEFAULT_GRACE_PERIOD_SECONDS = 30;

/** Fills in a pod. Some defaults are a pod's alone: in a template they stay unset. */
export function defaultPod(pod: Pod): void {
  const spec = (pod.spec ??= { containers: [] });
  const containers = spec.containers ?? [];
  for (const container of containers) requestWhatIsLimited(container);
  for (const container of spec.initContainers ?? []) requestWhatIsLimited(container);
  defaultPodLevelRequests(spec);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork === true) {
    for (const container of containers) exposeOnHost(container);
    for (const container of spec.initContainers ?? []) exposeOnHost(container);
  }
  defaultPodSpec(spec);
}

/** Fills in the template of a workload; an absent pod becomes one without containers. */
export function defaultPodTemplate(template: PodTemplateSpec): void {
  defaultPodSpec((template.spec ??= { containers: [] }));
}

function defaultPodSpec(spec: PodSpec): void {
  spec.restartPolicy ||= "Always";
  spec.dnsPolicy ||= "ClusterFirst";
  spec.schedulerName ||= "default-scheduler";
  spec.terminationGracePeriodSeconds ??= DEFAULT_GRACE_PERIOD_SECONDS;
  spec.securityContext ??= {};
  // Both spellings of the account are kept alike; the old one only counts when it stands alone.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

function defaultContainer(container: Container | EphemeralContainer): void {
  container.resources ??= {};
  container.terminationMessagePath ||= "/dev/termination-log";
  container.terminationMessagePolicy ||= "File";
  container.imagePullPolicy ||= pullPolicyFor(container.image ?? "");
  for (const port of container.ports ?? []) port.protocol ||= "TCP";
  for (const variable of container.env ?? []) defaultEnvVar(variable);
  defaultProbe(container.livenessProbe);
  defaultProbe(container.readinessProbe);
  defaultProbe(container.startupProbe);
  defaultHandler(container.lifecycle?.postStart);
  defaultHandler(container.lifecycle?.preStop);
}

function defaultEnvVar(variable: EnvVar): void {
  const source = variable.valueFrom;
  if (source === undefined) return;
  if (source.fieldRef !== undefined) source.fieldRef.apiVersion ||= "v1";
  if (source.resourceFieldRef !== undefined) source.resourceFieldRef.divisor ||= "0";
}

function defaultProbe(probe: Probe | undefined): void {
  if (probe === undefined) return;
  // A zero counts as unset here, as it does for clients that always send the field.
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.grpc !== undefined) probe.grpc.service ??= "";
  defaultHandler(probe);
}

function defaultHandler(handler: Pick<LifecycleHandler, "httpGet"> | undefined): void {
  const httpGet = handler?.httpGet;
  if (httpGet === undefined) return;
  httpGet.path ||= "/";
  httpGet.scheme ||= "HTTP";
}

/** A resource that is limited but not requested is requested at its limit. */
function requestWhatIsLimited(container: Pick<Container, "resources">): void {
  const resources = container.resources;
  if (resources?.limits === undefined) return;
  resources.requests = { ...resources.limits, ...resources.requests };
}

function exposeOnHost(container: Container): void {
  for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
}
