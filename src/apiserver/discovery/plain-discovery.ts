import type { ResourceDefinition } from "../../api/index.ts";
import { apiVersionOf, type GroupVersion } from "../../apimachinery/index.ts";

type Served = readonly ResourceDefinition[];

/** Every served group-version, the preferred one of a group first. */
export function servedGroupVersions(served: Served): readonly GroupVersion[] {
  const seen = new Map<string, GroupVersion>();
  for (const { group, version } of served) {
    seen.set(apiVersionOf({ group, version }), { group, version });
  }
  return [...seen.values()];
}

/** The definitions of one group-version. */
export function definitionsOf(
  served: Served,
  { group, version }: GroupVersion,
): readonly ResourceDefinition[] {
  return served.filter(
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
export function apiGroupList(served: Served): Record<string, unknown> {
  const groups = new Set(servedGroupVersions(served).map(({ group }) => group));
  groups.delete("");
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: [...groups].map((group) => groupEntry(served, group)),
  };
}

/** GET /apis/GROUP; undefined for a group that is not served. */
export function apiGroup(served: Served, group: string): Record<string, unknown> | undefined {
  if (group === "" || !served.some((definition) => definition.group === group)) return undefined;
  return { kind: "APIGroup", apiVersion: "v1", ...groupEntry(served, group) };
}

/** GET /api/v1 and /apis/GROUP/VERSION; undefined for what is not served. */
export function apiResourceList(
  served: Served,
  groupVersion: GroupVersion,
): Record<string, unknown> | undefined {
  const definitions = definitionsOf(served, groupVersion);
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

function groupEntry(served: Served, group: string): Record<string, unknown> {
  const versions = servedGroupVersions(served)
    .filter((groupVersion) => groupVersion.group === group)
    .map((one) => ({ groupVersion: apiVersionOf(one), version: one.version }));
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
