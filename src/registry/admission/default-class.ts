import { INGRESS_CLASSES, type ResourceDefinition, STORAGE_CLASSES } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import { part } from "../strategy.ts";

const INGRESS_DEFAULT = "ingressclass.kubernetes.io/is-default-class";
const INGRESS_ANNOTATION = "kubernetes.io/ingress.class";
const STORAGE_DEFAULT = "storageclass.kubernetes.io/is-default-class";

/** Names the cluster's default class in an object that names none; the youngest one wins. */
export function admitDefaultClass(
  definition: ResourceDefinition,
  object: KubeObject,
  lookup: Lookup,
): void {
  const ingress = definition.kind === "Ingress";
  const field = ingress ? "ingressClassName" : "storageClassName";
  const spec = part(object, "spec");
  if (spec[field] !== undefined) return;
  if (ingress && object.metadata.annotations?.[INGRESS_ANNOTATION] !== undefined) return;
  const classes = ingress ? lookup.all(INGRESS_CLASSES, "") : lookup.all(STORAGE_CLASSES, "");
  const annotation = ingress ? INGRESS_DEFAULT : STORAGE_DEFAULT;
  const youngest = classes
    .filter(({ metadata }) => metadata.annotations?.[annotation] === "true")
    .map(({ metadata }) => ({ name: metadata.name, created: metadata.creationTimestamp ?? "" }))
    .sort((left, right) => right.created.localeCompare(left.created))[0];
  if (youngest !== undefined) object["spec"] = { ...spec, [field]: youngest.name };
}
