import type { ResourceDefinition } from "../../api/index.ts";
import { groupResourceText, type KubeObject } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import { admitDefaultClass } from "./default-class.ts";
import { assertNamespaceOpen } from "./namespace-lifecycle.ts";
import { admitPod, type PodDefaults } from "./pod-admission.ts";

/**
 * Completes or refuses an object about to be created, by what else is in the cluster. Mutates.
 * Throws the StatusError of the refusal.
 */
export function admitCreate(
  definition: ResourceDefinition,
  object: KubeObject,
  lookup: Lookup,
  tolerations: PodDefaults,
): void {
  if (definition.namespaced) assertNamespaceOpen(definition, object, lookup);
  switch (groupResourceText(definition)) {
    case "pods":
      admitPod(object, lookup, tolerations);
      return;
    case "ingresses.networking.k8s.io":
    case "persistentvolumeclaims":
      admitDefaultClass(definition, object, lookup);
      return;
    default:
  }
}
