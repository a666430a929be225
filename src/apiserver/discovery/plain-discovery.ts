import { type ResourceDefinition, resourceDefinitions } from "../../api/index.ts";
import { apiVersionOf, type GroupVersion } from "../../apimachinery/index.ts";

/** Every served group-version, the preferred one of a group first. */
export function servedGroupVersions(): readonly GroupVersion[] {
  const seen = new Map<string, GroupVersion>();
  for (const { group, version } of resourceDefinitions) {
    seen.set(apiVersionOf({ group, version }), { group, version });
  }
  return [...seen.values()];
}

/** The definitions of one group-version. */
export function definitionsOf({ group, version }: GroupVersion): readonly ResourceDefinition[] {
  return resourceDefinitions.filter(
    (definition) => definition.group === group && definition.version === version,
  );
}

/** GET /api */
export function apiVersions(serverAddress: string): Record<string, unknown> {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

/** GET /apis */
export function apiGroupList(): Record<string, unknown> {
  const groups = new Set(servedGroupVersions().map(({ group }) => group));
  groups.delete("");
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: [...groups].map((group) => groupEntry(group)),
  };
}

/** GET /apis/GROUP; undefined for a group that is not served. */
export function apiGroup(group: string): Record<string, unknown> | undefined {
  if (group === "" || !servedGroupVersions().some((served) => served.group === group)) {
    return undefined;
  }
  return { kind: "APIGroup", apiVersion: "v1", ...groupEntry(group) };
}

/** GET /api/v1 and /apis/GROUP/VERSION; undefined for what is not served. */
export function apiResourceList(groupVersion: GroupVersion): Record<string, unknown> | undefined {
  const definitions = definitionsOf(groupVersion);
  if (definitions.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: apiVersionOf(groupVersion),
    resources: definitions.flatMap((definition) => [
      resourceEntry(definition),
      ...definition.subresources.map((subresource) => ({
        name: `${definition.resource}/${subresource.name}`,
        singularName: "",
        namespaced: definition.namespaced,
        ...(subresource.version === undefined
          ? {}
          : { group: subresource.group, version: subresource.version }),
        kind: subresource.kind,
        verbs: subresource.verbs,
      })),
    ]),
  };
}

function groupEntry(group: string): Record<string, unknown> {
  const versions = servedGroupVersions()
    .filter((served) => served.group === group)
    .map((served) => ({ groupVersion: apiVersionOf(served), version: served.version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

function resourceEntry(definition: ResourceDefinition): Record<string, unknown> {
  const { resource, singular, namespaced, kind, verbs, shortNames, categories } = definition;
  return {
    name: resource,
    singularName: singular,
    namespaced,
    kind,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
}
