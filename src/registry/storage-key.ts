import type { ResourceDefinition } from "../api/index.ts";

/** Every object lives below this prefix. */
export const STORAGE_ROOT = "/registry/";

/** `/registry/core/pods/` or `/registry/apps/deployments/`: what all objects of a kind share. */
export function resourcePrefix(storage: ResourceDefinition["storage"]): string {
  return `${STORAGE_ROOT}${storage.group === "" ? "core" : storage.group}/${storage.resource}/`;
}

/** The prefix of one namespace's objects; of all namespaces when it is empty. */
export function namespacePrefix(definition: ResourceDefinition, namespace: string): string {
  const prefix = resourcePrefix(definition.storage);
  return definition.namespaced && namespace !== "" ? `${prefix}${namespace}/` : prefix;
}

/** `/registry/core/pods/default/web-0`, or `/registry/core/nodes/pi` for a cluster-wide kind. */
export function objectKey(definition: ResourceDefinition, namespace: string, name: string): string {
  const prefix = resourcePrefix(definition.storage);
  return definition.namespaced ? `${prefix}${namespace}/${name}` : `${prefix}${name}`;
}
