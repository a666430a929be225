import type { Node, Pod } from "../../api/index.ts";
import {
  forbidden,
  groupResourceText,
  jsonEquals,
  type KubeObject,
  type StatusError,
} from "../../apimachinery/index.ts";
import { KEYVALUE_STORES_ANNOTATION } from "../keyvalue/store-access.ts";
import { podUsesAny } from "../pod-references.ts";
import type { Admitted } from "./admitted.ts";

/** An agent's own pods are shown to the cluster by this. */
const MIRROR = "kubernetes.io/config.mirror";
const RESTRICTED = "node-restriction.kubernetes.io";
const LEASE_NAMESPACE = "kube-node-lease";

/** Labels of Kubernetes' own namespaces that a node may say about itself. */
const OWN_LABELS: ReadonlySet<string> = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "beta.kubernetes.io/instance-type",
  "failure-domain.beta.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
]);
const OWN_LABEL_DOMAINS = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/**
 * What a node's agent may not write although it may write such objects: other nodes, their pods and
 * leases; and of its own Node what decides which pods come to it. Throws 403.
 */
export function restrictNode(node: string, request: Admitted): void {
  const { definition, subresource } = request;
  const name = groupResourceText(definition);
  switch (subresource === "" ? name : `${name}/${subresource}`) {
    case "pods":
      return restrictPod(node, request);
    case "pods/status":
      return restrictPodStatus(node, request);
    case "pods/eviction":
      if (nodeOf(request.old) === node) return;
      throw refuse(request, `node "${node}" can only evict pods with spec.nodeName set to itself`);
    case "nodes":
    case "nodes/status":
      return restrictOwnNode(node, request);
    case "leases.coordination.k8s.io":
      return restrictLease(node, request);
    case "csinodes.storage.k8s.io":
      if (request.name === node) return;
      throw refuse(request, "can only access CSINode with the same name as the requesting node");
    default:
  }
}

function restrictPod(node: string, request: Admitted): void {
  const { verb, next, old } = request;
  if (verb === "delete") {
    if (nodeOf(old) === node) return;
    throw refuse(request, `node "${node}" can only delete pods with spec.nodeName set to itself`);
  }
  if (verb !== "create") throw refuse(request, `unexpected operation ${verb.toUpperCase()}`);
  const pod = next as Pod;
  const { metadata, spec } = pod;
  if (metadata.annotations?.[MIRROR] === undefined) {
    const why = `pod does not have "${MIRROR}" annotation`;
    throw refuse(request, `${why}, node "${node}" can only create mirror pods`);
  }
  if (spec?.nodeName !== node) {
    throw refuse(request, `node "${node}" can only create pods with spec.nodeName set to itself`);
  }
  const [owner, ...others] = metadata.ownerReferences ?? [];
  const isOwn = owner?.kind === "Node" && owner.apiVersion === "v1" && owner.name === node;
  if (!isOwn || others.length > 0) {
    const how = "that have one owner reference, set to itself";
    throw refuse(request, `node "${node}" can only create pods ${how}`);
  }
  const used = podUsesAny(pod);
  if (used !== undefined) {
    throw refuse(request, `node "${node}" can not create pods that reference ${used}`);
  }
}

function restrictPodStatus(node: string, request: Admitted): void {
  const { next, old } = request;
  if (nodeOf(old) !== node) {
    const which = "for pods with spec.nodeName set to itself";
    throw refuse(request, `node "${node}" can only update pod status ${which}`);
  }
  if (!jsonEquals(next?.metadata.labels ?? {}, old?.metadata.labels ?? {})) {
    throw refuse(request, `node "${node}" cannot update labels through pod status`);
  }
  // It is what opens stores to the node: see podUsesAny.
  if (storesOf(next) !== storesOf(old)) {
    const what = `annotation ${KEYVALUE_STORES_ANNOTATION}`;
    throw refuse(request, `node "${node}" cannot update ${what} through pod status`);
  }
}

function restrictOwnNode(node: string, request: Admitted): void {
  const { name, next, old } = request;
  if (name !== node)
    throw refuse(request, `node "${node}" is not allowed to modify node "${name}"`);
  if (next === undefined) throw refuse(request, `node "${node}" is not allowed to delete nodes`);
  const wanted = next as Node;
  const present: Node | undefined = old;
  const changed = changedLabels(wanted, present).filter((label) => !mayLabel(label));
  if (changed.length > 0) {
    const verb = present === undefined ? "set the following" : "modify";
    const why = `is not allowed to ${verb} labels: ${changed.sort().join(", ")}`;
    throw refuse(request, why);
  }
  if (wanted.spec?.configSource !== undefined) {
    if (!jsonEquals(wanted.spec.configSource, present?.spec?.configSource)) {
      throw refuse(request, `node "${node}" is not allowed to update configSource`);
    }
  }
  // Which addresses are a node's pods' the cluster says, not the node.
  if (!jsonEquals(rangesOf(wanted), rangesOf(present))) {
    throw refuse(request, `node "${node}" is not allowed to modify podCIDRs`);
  }
  if (present === undefined) return;
  if (request.subresource === "" && !jsonEquals(taintsOf(wanted), taintsOf(present))) {
    throw refuse(request, `node "${node}" is not allowed to modify taints`);
  }
  if (!jsonEquals(wanted.metadata.ownerReferences ?? [], present.metadata.ownerReferences ?? [])) {
    throw refuse(request, `node "${node}" is not allowed to modify ownerReferences`);
  }
}

function restrictLease(node: string, request: Admitted): void {
  if (request.namespace !== LEASE_NAMESPACE) {
    throw refuse(request, `can only access leases in the "${LEASE_NAMESPACE}" system namespace`);
  }
  if (request.name === node) return;
  throw refuse(request, "can only access node lease with the same name as the requesting node");
}

function storesOf(object: Readonly<KubeObject> | undefined): string {
  return object?.metadata.annotations?.[KEYVALUE_STORES_ANNOTATION] ?? "";
}

function nodeOf(object: Readonly<KubeObject> | undefined): string | undefined {
  const pod: Pod | undefined = object;
  return pod?.spec?.nodeName;
}

function rangesOf(node: Node | undefined): unknown {
  return [node?.spec?.podCIDR ?? "", node?.spec?.podCIDRs ?? []];
}

function taintsOf(node: Node): unknown {
  return node.spec?.taints ?? [];
}

function changedLabels(next: Node, old: Node | undefined): string[] {
  const before = old?.metadata.labels ?? {};
  const after = next.metadata.labels ?? {};
  const all = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...all].filter((label) => before[label] !== after[label]);
}

/** Roles and what administrators reserve are not for the node to say. */
function mayLabel(label: string): boolean {
  const [domain = ""] = label.includes("/") ? label.split("/") : [];
  const isIn = (parent: string): boolean => domain === parent || domain.endsWith(`.${parent}`);
  if (isIn(RESTRICTED)) return false;
  if (!isIn("kubernetes.io") && !isIn("k8s.io")) return true;
  return OWN_LABELS.has(label) || OWN_LABEL_DOMAINS.some(isIn);
}

function refuse({ definition, name }: Admitted, why: string): StatusError {
  return forbidden(definition, name, why);
}
