import type { KubeObject } from "../apimachinery/index.ts";
import type { OwnerReference } from "../api/index.ts";

/** The reference that makes `owner` the one controller of an object. */
export function controllerReference(
  owner: KubeObject,
  type: { readonly apiVersion: string; readonly kind: string },
): OwnerReference {
  return {
    apiVersion: type.apiVersion,
    kind: type.kind,
    name: owner.metadata.name ?? "",
    uid: owner.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** The reference to whoever controls the object, if anybody does. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

export function hasOtherController(old: KubeObject, next: KubeObject): boolean {
  return controllerOf(old)?.uid !== controllerOf(next)?.uid;
}

/** Index of objects by the uid of their controller; those without one are under "". */
export const CONTROLLER_INDEX = "controller-uid";

export function controllerUids(object: KubeObject): readonly string[] {
  return [controllerOf(object)?.uid ?? ""];
}
