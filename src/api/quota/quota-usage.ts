import {
  type GroupResource,
  groupResourceText,
  type KubeObject,
  parseRfc3339,
  Quantity,
} from "../../apimachinery/index.ts";
import type { PersistentVolumeClaim, Pod, Service } from "../core/v1/types.ts";
import { podAmounts } from "./pod-amounts.ts";
import { readQuantity, type ResourceAmounts } from "./resource-amounts.ts";

const ONE = Quantity.ofValue(1);
const BASE_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";
const CLASS_SUFFIX = ".storageclass.storage.k8s.io/";

/** Kinds that quotas know by a name of their own besides `count/`. */
const NAMED: ReadonlySet<string> = new Set([
  "configmaps",
  "persistentvolumeclaims",
  "replicationcontrollers",
  "resourcequotas",
  "secrets",
  "services",
]);

/** What one object counts in quotas, under every name that a quota could ask for. */
export function quotaUsage(
  kind: GroupResource,
  object: Readonly<KubeObject>,
  nowMs: number,
): ResourceAmounts {
  const name = groupResourceText(kind);
  const usage = new Map<string, Quantity>([[`count/${name}`, ONE]]);
  if (NAMED.has(name)) usage.set(name, ONE);
  switch (name) {
    case "pods":
      countPod(usage, object, nowMs);
      break;
    case "services":
      countService(usage, object);
      break;
    case "persistentvolumeclaims":
      countClaim(usage, object);
      break;
    default:
  }
  return usage;
}

/** Which kind a name in `spec.hard` counts: "pods" for "requests.cpu". */
export function quotaKindOf(resource: string): string {
  if (resource.startsWith("count/")) return resource.slice("count/".length);
  if (resource.startsWith("services.")) return "services";
  if (NAMED.has(resource)) return resource;
  const ofClaims = resource === "requests.storage" || resource.includes(CLASS_SUFFIX);
  return ofClaims ? "persistentvolumeclaims" : "pods";
}

/** Whether a pod still takes resources: it has not ended, and its time to do so is not over. */
export function countsInQuota({ metadata, status }: Pod, nowMs: number): boolean {
  if (status?.phase === "Succeeded" || status?.phase === "Failed") return false;
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds === undefined) return true;
  return nowMs <= parseRfc3339(deletionTimestamp) + deletionGracePeriodSeconds * 1000;
}

function countPod(usage: Map<string, Quantity>, pod: Pod, nowMs: number): void {
  if (!countsInQuota(pod, nowMs)) return;
  usage.set("pods", ONE);
  for (const [name, amount] of podAmounts(pod, "requests")) {
    usage.set(`requests.${name}`, amount);
    if (isPlain(name)) usage.set(name, amount);
  }
  for (const [name, amount] of podAmounts(pod, "limits")) {
    if (COMPUTE.has(name)) usage.set(`limits.${name}`, amount);
  }
}

const COMPUTE: ReadonlySet<string> = new Set(["cpu", "memory", "ephemeral-storage"]);

/** Requests that quotas may also name without `requests.`; not those of extended resources. */
function isPlain(name: string): boolean {
  return COMPUTE.has(name) || name.startsWith("hugepages-");
}

function countService(usage: Map<string, Quantity>, { spec }: Service): void {
  const ports = spec?.ports ?? [];
  switch (spec?.type ?? "") {
    case "NodePort":
      usage.set("services.nodeports", Quantity.ofValue(ports.length));
      break;
    case "LoadBalancer": {
      const allocated = spec?.allocateLoadBalancerNodePorts !== false;
      const held = allocated ? ports : ports.filter(({ nodePort }) => (nodePort ?? 0) !== 0);
      usage.set("services.nodeports", Quantity.ofValue(held.length));
      usage.set("services.loadbalancers", ONE);
      break;
    }
    default:
  }
}

function countClaim(usage: Map<string, Quantity>, { metadata, spec }: PersistentVolumeClaim): void {
  const storage = readQuantity(spec?.resources?.requests?.["storage"]);
  const storageClass = metadata.annotations?.[BASE_CLASS_ANNOTATION] ?? spec?.storageClassName;
  const prefix = storageClass ? `${storageClass}${CLASS_SUFFIX}` : undefined;
  if (prefix !== undefined) usage.set(`${prefix}persistentvolumeclaims`, ONE);
  if (storage === undefined) return;
  usage.set("requests.storage", storage);
  if (prefix !== undefined) usage.set(`${prefix}requests.storage`, storage);
}
