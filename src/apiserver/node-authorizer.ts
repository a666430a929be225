import {
  INGRESSES,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  type Pod,
  PODS,
  VOLUME_ATTACHMENTS,
} from "../api/index.ts";
import type { PresentObjects } from "../registry/index.ts";
import { type Authorizer, type Decision, DENIED, type ResourceAttributes } from "./authorizer.ts";
import { NODE_VERBS, StoreGrants } from "./keyvalue/store-access.ts";
import { nodeRules } from "./rbac/component-roles.ts";
import { ruleAllows } from "./rbac/rule-match.ts";
import { podUses } from "./pod-references.ts";
import { nodeNameOf } from "./user.ts";

const READS: ReadonlySet<string> = new Set(["get", "list", "watch"]);
const LEASE_NAMESPACE = "kube-node-lease";
const ALLOWED: Decision = { allowed: true, reason: "" };

/**
 * What a node's agent may do: of Secrets, ConfigMaps, claims and accounts only those that pods
 * bound to its node refer to, one by one; of nodes, leases and pods its own. What a node may change
 * of an object that it may write, admission says (node-restriction.ts).
 */
export function nodeAuthorizer(present: PresentObjects): Authorizer {
  const rules = nodeRules();
  const stores = new StoreGrants(present);
  const accounts = new AccountPods();
  return {
    decide(user, attributes) {
      const node = nodeNameOf(user);
      if (node === undefined || attributes.type === "path") return DENIED;
      const own = ownershipOf(node, attributes, { present, stores, accounts });
      if (own !== undefined) return own;
      return rules.some((rule) => ruleAllows(rule, attributes)) ? ALLOWED : DENIED;
    },
  };
}

interface Known {
  readonly present: PresentObjects;
  readonly stores: StoreGrants;
  readonly accounts: AccountPods;
}

/** The answer for kinds of which a node sees its own alone; undefined for all others. */
function ownershipOf(
  node: string,
  attributes: ResourceAttributes,
  { present, stores, accounts }: Known,
): Decision | undefined {
  const { group, resource } = attributes;
  switch (group === "" ? resource : `${resource}.${group}`) {
    case "secrets":
    case "configmaps":
      return READS.has(attributes.verb)
        ? related(node, attributes, () => isUsed(node, attributes, present))
        : refuse(`can only read resources of this type`);
    case "serviceaccounts":
      return accountDecision(node, attributes, present, accounts);
    case "persistentvolumeclaims":
      return claimDecision(node, attributes, present);
    case "persistentvolumes":
      return attributes.verb === "get" && attributes.subresource === ""
        ? related(node, attributes, () => isUsed(node, attributes, present))
        : refuse("can only get resources of this type");
    case "volumeattachments.storage.k8s.io":
      return related(node, attributes, () => isAttached(node, attributes, present));
    case "leases.coordination.k8s.io":
      return leaseDecision(node, attributes);
    case "keyvaluestores.kubun.dev":
      return storeDecision(node, attributes, stores);
    case "csinodes.storage.k8s.io":
      return ownName(node, attributes);
    case "nodes":
      return nodeDecision(node, attributes);
    case "pods":
      return podDecision(node, attributes, present);
    default:
      return undefined;
  }
}

function accountDecision(
  node: string,
  attributes: ResourceAttributes,
  present: PresentObjects,
  accounts: AccountPods,
): Decision {
  const { verb, subresource } = attributes;
  const mints = verb === "create" && subresource === "token";
  const reads = READS.has(verb) && subresource === "";
  if (!mints && !reads) return refuse("can only read resources of this type, or get their tokens");
  return related(node, attributes, () => accounts.isUsed(node, attributes, present));
}

/** Accounts of which a pod is remembered. */
const MAX_REMEMBERED_ACCOUNTS = 1024;

/**
 * Which pod of a node has an account: each pod that starts asks for a token, and a namespace with
 * hundreds of pods is not gone through for each of them.
 */
class AccountPods {
  /** Node, namespace and account → the name of a pod that was seen to have it. */
  readonly #seen = new Map<string, string>();

  isUsed(node: string, attributes: ResourceAttributes, present: PresentObjects): boolean {
    const { namespace, name } = attributes;
    const key = `${node}/${namespace}/${name}`;
    const last = this.#seen.get(key);
    const known = last === undefined ? undefined : present.find(PODS, namespace, last);
    if (known?.spec?.nodeName === node && podUses(known, "serviceaccounts", name)) return true;
    const pods = namespace === "" ? [] : podsOf(node, namespace, present);
    const pod = pods.find((candidate) => podUses(candidate, "serviceaccounts", name));
    if (this.#seen.size >= MAX_REMEMBERED_ACCOUNTS) this.#seen.clear();
    if (pod !== undefined) this.#seen.set(key, pod.metadata.name ?? "");
    return pod !== undefined;
  }
}

function claimDecision(
  node: string,
  attributes: ResourceAttributes,
  present: PresentObjects,
): Decision {
  const { verb, subresource } = attributes;
  const writesStatus = subresource === "status" && (verb === "update" || verb === "patch");
  if (!writesStatus && (verb !== "get" || subresource !== "")) {
    return refuse("can only get individual resources of this type, or update their status");
  }
  return related(node, attributes, () => isUsed(node, attributes, present));
}

/** The gate of a pod passes on what its components ask of the stores that its annotation names. */
function storeDecision(node: string, attributes: ResourceAttributes, stores: StoreGrants) {
  const { verb, namespace, name } = attributes;
  if (!NODE_VERBS.has(verb)) return refuse("can only get, watch or update resources of this type");
  return related(node, attributes, () => stores.has(node, namespace, name));
}

/** Another node's lease is nobody's business; a new one has no name in its path. */
function leaseDecision(node: string, { namespace, name, verb }: ResourceAttributes): Decision {
  if (namespace !== LEASE_NAMESPACE) {
    return refuse(`can only access leases in the "${LEASE_NAMESPACE}" system namespace`);
  }
  if (!["create", "delete", "get", "patch", "update"].includes(verb)) {
    return refuse("can only get, create, update, patch, or delete a node lease");
  }
  if (verb !== "create" && name !== node)
    return refuse("can only access node lease with the same name as the requesting node");
  return ALLOWED;
}

function ownName(node: string, { name, verb }: ResourceAttributes): Decision {
  if (!["create", "delete", "get", "patch", "update"].includes(verb)) {
    return refuse("can only get, create, update, patch, or delete a CSINode");
  }
  if (verb !== "create" && name !== node) {
    return refuse("can only access CSINode with the same name as the requesting node");
  }
  return ALLOWED;
}

/** Reading other nodes is for RBAC to say: the proxies of all nodes need their addresses. */
function nodeDecision(node: string, attributes: ResourceAttributes): Decision {
  const { verb, name, subresource } = attributes;
  if (verb === "create" && subresource === "") return ALLOWED;
  const writes = verb === "update" || verb === "patch";
  const allowed = writes && (subresource === "" || subresource === "status");
  if (allowed || (READS.has(verb) && subresource === "")) {
    if (name === node) return ALLOWED;
    return refuse(`node '${node}' cannot read or change other nodes`);
  }
  return DENIED;
}

/** A pod that is on the node, or one that is about to be created there. */
function podDecision(
  node: string,
  attributes: ResourceAttributes,
  present: PresentObjects,
): Decision {
  const { verb, subresource, name, namespace, fieldSelector = "" } = attributes;
  if (verb === "create" && subresource === "") return ALLOWED;
  if ((verb === "list" || verb === "watch") && subresource === "") {
    const wanted = fieldSelector.split(",").map((term) => term.replace("==", "="));
    if (wanted.includes(`spec.nodeName=${node}`)) return ALLOWED;
    if (name === "" || namespace === "") {
      return refuse("can only list/watch pods with spec.nodeName field selector");
    }
  }
  const known =
    subresource === ""
      ? ["get", "list", "watch", "delete"].includes(verb)
      : (subresource === "status" && ["update", "patch"].includes(verb)) ||
        (subresource === "eviction" && verb === "create");
  if (!known) return DENIED;
  const pod = present.find(PODS, namespace, name);
  // What is not there is not another node's either: the node learns that it is gone.
  if (pod === undefined || pod.spec?.nodeName === node) return ALLOWED;
  return noRelation(node);
}

/** Objects of which the node needs some are asked for one by one. */
function related(node: string, { name }: ResourceAttributes, isRelated: () => boolean): Decision {
  if (name === "") return refuse("No Object name found");
  return isRelated() ? ALLOWED : noRelation(node);
}

function noRelation(node: string): Decision {
  return refuse(`no relationship found between node '${node}' and this object`);
}

function refuse(reason: string): Decision {
  return { allowed: false, reason };
}

function isUsed(
  node: string,
  { resource, namespace, name }: ResourceAttributes,
  present: PresentObjects,
): boolean {
  if (resource === "persistentvolumes") return isVolumeUsed(node, name, present);
  if (namespace === "") return false;
  if (resource === "secrets" && isShownByIngress(namespace, name, present)) return true;
  return podsOf(node, namespace, present).some((pod) => podUses(pod, resource, name));
}

/** Every node's proxy shows the certificates of Ingresses to who comes. */
function isShownByIngress(namespace: string, name: string, present: PresentObjects): boolean {
  return present
    .all(INGRESSES, namespace, { holding: `"secretName":${JSON.stringify(name)}` })
    .some(({ spec }) => spec?.tls?.some(({ secretName }) => secretName === name) === true);
}

/** A volume is needed by the pods of the claim that it is bound to. */
function isVolumeUsed(node: string, name: string, present: PresentObjects): boolean {
  const claim = present.find(PERSISTENT_VOLUMES, "", name)?.spec?.claimRef;
  const { namespace = "", name: claimName = "" } = claim ?? {};
  if (namespace === "" || claimName === "") return false;
  const bound = present.find(PERSISTENT_VOLUME_CLAIMS, namespace, claimName)?.spec?.volumeName;
  if (bound !== name) return false;
  const pods = podsOf(node, namespace, present);
  return pods.some((pod) => podUses(pod, "persistentvolumeclaims", claimName));
}

function isAttached(node: string, { verb, name }: ResourceAttributes, present: PresentObjects) {
  return verb === "get" && present.find(VOLUME_ATTACHMENTS, "", name)?.spec?.nodeName === node;
}

function podsOf(node: string, namespace: string, present: PresentObjects): Readonly<Pod>[] {
  const holding = `"nodeName":${JSON.stringify(node)}`;
  return present.all(PODS, namespace, { holding }).filter(({ spec }) => spec?.nodeName === node);
}
