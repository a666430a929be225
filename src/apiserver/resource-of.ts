import { type ApiResource, findResource } from "../api/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { assert } from "../lib/index.ts";
import type { Registry, ResourceRegistry } from "../registry/index.ts";

/** The registry's resource behind a constant such as PODS. */
export function resourceOf(
  registry: Registry,
  { group, version, resource }: ApiResource<KubeObject>,
): ResourceRegistry {
  const definition = findResource(group, version, resource);
  assert(definition !== undefined, `${resource} of ${group}/${version} is served`);
  return registry.resource(definition);
}
