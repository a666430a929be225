import admissionregistrationDescriptions from "./admissionregistration/v1/descriptions.json";
import apiextensionsDescriptions from "./apiextensions/v1/descriptions.json";
import appsDescriptions from "./apps/v1/descriptions.json";
import authenticationDescriptions from "./authentication/v1/descriptions.json";
import authorizationDescriptions from "./authorization/v1/descriptions.json";
import autoscalingV1Descriptions from "./autoscaling/v1/descriptions.json";
import autoscalingV2Descriptions from "./autoscaling/v2/descriptions.json";
import batchDescriptions from "./batch/v1/descriptions.json";
import certificatesDescriptions from "./certificates/v1/descriptions.json";
import coordinationDescriptions from "./coordination/v1/descriptions.json";
import coreDescriptions from "./core/v1/descriptions.json";
import discoveryDescriptions from "./discovery/v1/descriptions.json";
import eventsDescriptions from "./events/v1/descriptions.json";
import { typeTable } from "./group-versions.ts";
import kubunDescriptions from "./kubun/v1/descriptions.json";
import metaDescriptions from "./meta/v1/descriptions.json";
import networkingDescriptions from "./networking/v1/descriptions.json";
import metricsDescriptions from "./metrics/v1beta1/descriptions.json";
import nodeDescriptions from "./node/v1/descriptions.json";
import policyDescriptions from "./policy/v1/descriptions.json";
import rbacDescriptions from "./rbac/v1/descriptions.json";
import schedulingDescriptions from "./scheduling/v1/descriptions.json";
import storageDescriptions from "./storage/v1/descriptions.json";

/** Words about a type under "", and about its fields under their names. */
type TypeWords = Readonly<Record<string, string>>;

/** By what type names start with. */
const WORDS: Readonly<Record<string, Readonly<Record<string, TypeWords>>>> = {
  "apis.meta.v1": metaDescriptions,
  "admissionregistration.v1": admissionregistrationDescriptions,
  "apiextensions.v1": apiextensionsDescriptions,
  "apps.v1": appsDescriptions,
  "authentication.v1": authenticationDescriptions,
  "authorization.v1": authorizationDescriptions,
  "autoscaling.v1": autoscalingV1Descriptions,
  "autoscaling.v2": autoscalingV2Descriptions,
  "batch.v1": batchDescriptions,
  "certificates.v1": certificatesDescriptions,
  "coordination.v1": coordinationDescriptions,
  "core.v1": coreDescriptions,
  "discovery.v1": discoveryDescriptions,
  "events.v1": eventsDescriptions,
  "kubun.v1": kubunDescriptions,
  "metrics.v1beta1": metricsDescriptions,
  "networking.v1": networkingDescriptions,
  "node.v1": nodeDescriptions,
  "policy.v1": policyDescriptions,
  "rbac.v1": rbacDescriptions,
  "scheduling.v1": schedulingDescriptions,
  "storage.v1": storageDescriptions,
};

/** Fields that mean the same in every kind. */
const KIND_FIELDS: TypeWords = {
  apiVersion: "Version of the API that the object is written in.",
  kind: "What the object is.",
  metadata: "Name, labels and what else every object carries.",
  spec: "What is wanted.",
  status: "What there is; written by the cluster.",
  items: "The objects.",
};

/** Fields that mean the same in every condition. */
const CONDITION_FIELDS: TypeWords = {
  type: "Aspect the condition is about.",
  status: "Whether it holds: True, False or Unknown.",
  reason: "Why, in one word.",
  message: "Why, for people.",
  lastTransitionTime: "When its status changed last.",
  lastUpdateTime: "When it was looked at last.",
  lastProbeTime: "When it was checked last.",
};

/**
 * Words about a type ("core.v1.Pod"), or about one of its fields; undefined where there are none.
 * For OpenAPI, and with it for `kubectl explain`.
 */
export function describe(typeName: string, field = ""): string | undefined {
  const dot = typeName.lastIndexOf(".");
  const name = typeName.slice(dot + 1);
  const words = WORDS[typeName.slice(0, dot)]?.[name];
  const own = words === undefined || !Object.hasOwn(words, field) ? undefined : words[field];
  return own ?? (field === "" ? describeList(typeName, name) : describeShared(typeName, field));
}

function describeList(typeName: string, name: string): string | undefined {
  const isList = name.endsWith("List") && typeTable[typeName]?.gvk !== undefined;
  return isList ? `Several objects of kind ${name.slice(0, -"List".length)}.` : undefined;
}

function describeShared(typeName: string, field: string): string | undefined {
  const shared = typeName.endsWith("Condition") ? CONDITION_FIELDS : KIND_FIELDS;
  const applies = shared === CONDITION_FIELDS || typeTable[typeName]?.gvk !== undefined;
  return applies && Object.hasOwn(shared, field) ? shared[field] : undefined;
}
