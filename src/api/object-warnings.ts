import { FieldPath, type KubeObject } from "../apimachinery/index.ts";
import type { CustomResourceDefinition } from "./apiextensions/v1/types.ts";
import type { CronJob } from "./batch/v1/types.ts";
import type { Container, ContainerPort, Pod, PodSpec, PodTemplateSpec } from "./core/v1/types.ts";

/** Labels of nodes that Kubernetes renamed, and since when. */
const RENAMED_NODE_LABELS: Readonly<Record<string, readonly [since: string, now: string]>> = {
  "beta.kubernetes.io/arch": ["v1.14", "kubernetes.io/arch"],
  "beta.kubernetes.io/os": ["v1.14", "kubernetes.io/os"],
  "beta.kubernetes.io/instance-type": ["v1.17", "node.kubernetes.io/instance-type"],
  "failure-domain.beta.kubernetes.io/region": ["v1.17", "topology.kubernetes.io/region"],
  "failure-domain.beta.kubernetes.io/zone": ["v1.17", "topology.kubernetes.io/zone"],
};

const POD_GROUPS: ReadonlySet<string> = new Set(["v1", "apps/v1", "batch/v1"]);

interface PlacedSpec {
  readonly path: FieldPath;
  readonly spec: PodSpec;
}

interface PlacedContainer {
  readonly path: FieldPath;
  readonly container: Container;
}

/** What is allowed in an object but hardly meant, in Kubernetes' words: its Warning headers. */
export function warningsOf(object: KubeObject): string[] {
  // Kinds of other groups may have the names of these, and look different.
  if (object.apiVersion === "apiextensions.k8s.io/v1") return conversionWarnings(object);
  if (!POD_GROUPS.has(object.apiVersion ?? "v1")) return [];
  const placed = podSpecOf(object);
  if (placed === undefined) return [];
  return [...selectorWarnings(placed), ...envWarnings(placed), ...portWarnings(placed)];
}

/** This server asks no webhooks to convert: it says so rather than convert wrongly in silence. */
function conversionWarnings(object: KubeObject): string[] {
  const { spec } = object as CustomResourceDefinition;
  const isNeeded = (spec?.versions ?? []).length > 1;
  if (spec?.conversion?.strategy !== "Webhook" || !isNeeded) return [];
  return [
    "spec.conversion.strategy: webhooks are not asked to convert on this server; objects of all " +
      "versions differ in apiVersion only",
  ];
}

function podSpecOf(object: KubeObject): PlacedSpec | undefined {
  const root = FieldPath.root("spec");
  switch (object.kind ?? "") {
    case "Pod": {
      const { spec } = object as Pod;
      return spec === undefined ? undefined : { path: root, spec };
    }
    case "CronJob": {
      const template = (object as CronJob).spec?.jobTemplate.spec?.template;
      return templateSpec(root.child("jobTemplate", "spec"), template);
    }
    case "DaemonSet":
    case "Deployment":
    case "Job":
    case "ReplicaSet":
    case "ReplicationController":
    case "StatefulSet":
      return templateSpec(root, (object["spec"] as WithTemplate | undefined)?.template);
    default:
      return undefined;
  }
}

interface WithTemplate {
  readonly template?: PodTemplateSpec;
}

function templateSpec(path: FieldPath, template?: PodTemplateSpec): PlacedSpec | undefined {
  const spec = template?.spec;
  return spec === undefined ? undefined : { path: path.child("template", "spec"), spec };
}

function selectorWarnings({ path, spec }: PlacedSpec): string[] {
  const selector = path.child("nodeSelector");
  return Object.keys(spec.nodeSelector ?? {}).flatMap((label) => {
    const renamed = Object.hasOwn(RENAMED_NODE_LABELS, label) && RENAMED_NODE_LABELS[label];
    if (!renamed) return [];
    const [since, now] = renamed;
    return [`${selector.key(label)}: deprecated since ${since}; use "${now}" instead`];
  });
}

/** A later variable of a name may build on the earlier one; otherwise it hides it. */
function envWarnings({ path, spec }: PlacedSpec): string[] {
  const init = placedContainers(path.child("initContainers"), spec.initContainers);
  const main = placedContainers(path.child("containers"), spec.containers);
  return [...init, ...main].flatMap(({ path: at, container }) => {
    const seen = new Set<string>();
    return (container.env ?? []).flatMap(({ name, value, valueFrom }, index) => {
      const again = seen.has(name);
      seen.add(name);
      const reference = `$(${name})`;
      const builds = value !== undefined && value !== reference && value.includes(reference);
      if (!again || (builds && valueFrom === undefined)) return [];
      const what = `hides previous definition of "${name}", which may be dropped when using apply`;
      return [`${at.child("env").index(index)}: ${what}`];
    });
  });
}

/** Ports of containers that run at the same time; sidecars are init containers that stay. */
function portWarnings({ path, spec }: PlacedSpec): string[] {
  const init = placedContainers(path.child("initContainers"), spec.initContainers);
  const sidecars = init.filter(({ container }) => container.restartPolicy === "Always");
  const main = placedContainers(path.child("containers"), spec.containers);
  const seen = new Map<string, { readonly at: FieldPath; readonly port: ContainerPort }[]>();
  const warnings: string[] = [];
  for (const { path: of, container } of [...sidecars, ...main]) {
    for (const [index, port] of (container.ports ?? []).entries()) {
      const at = of.child("ports").index(index);
      const key = `${port.containerPort}/${port.protocol ?? "TCP"}`;
      const others = seen.get(key) ?? [];
      for (const other of others) {
        const clash = clashOf(port, other.port);
        if (clash !== undefined) warnings.push(`${at}: ${clash} port definition with ${other.at}`);
      }
      seen.set(key, [...others, { at, port }]);
    }
  }
  return warnings;
}

function clashOf(port: ContainerPort, other: ContainerPort): string | undefined {
  const [ip = "", otherIp = ""] = [port.hostIP, other.hostIP];
  const [host = 0, otherHost = 0] = [port.hostPort, other.hostPort];
  if (ip === otherIp && host === otherHost) return "duplicate";
  if (host === 0 || otherHost === 0) return "overlapping";
  const oneEverywhere = (ip === "") !== (otherIp === "");
  return host === otherHost && oneEverywhere ? "dangerously ambiguous" : undefined;
}

function placedContainers(
  path: FieldPath,
  containers: readonly Container[] | undefined,
): PlacedContainer[] {
  return (containers ?? []).map((container, index) => ({ path: path.index(index), container }));
}
