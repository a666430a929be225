import { INGRESS_CLASSES, type ResourceDefinition, STORAGE_CLASSES } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import { part } from "../strategy.ts";
import type { AdmissionPlugin } from "./admission-plugin.ts";

const INGRESS_DEFAULT = "ingressclass.kubernetes.io/is-default-class";
const INGRESS_ANNOTATION = "kubernetes.io/ingress.class";
const STORAGE_DEFAULT = "storageclass.kubernetes.io/is-default-class";

/** Names the cluster's default StorageClass in a claim that names none. */
export const defaultStorageClass: AdmissionPlugin = {
  name: "DefaultStorageClass",
  kinds: new Set(["persistentvolumeclaims"]),
  complete: ({ definition, object, lookup }) => admitDefaultClass(definition, object, lookup),
};

/** Names the cluster's default IngressClass in an Ingress that names none. */
export const defaultIngressClass: AdmissionPlugin = {
  name: "DefaultIngressClass",
  kinds: new Set(["ingresses.networking.k8s.io"]),
  complete: ({ definition, object, lookup }) => admitDefaultClass(definition, object, lookup),
};

/** The youngest default wins, as in Kubernetes; of equally old ones the first by name. */
function admitDefaultClass(
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
    .sort((left, right) => {
      const [a = "", b = ""] = [left.name, right.name];
      return right.created.localeCompare(left.created) || a.localeCompare(b);
    })[0];
  if (youngest !== undefined) object["spec"] = { ...spec, [field]: youngest.name };
}
