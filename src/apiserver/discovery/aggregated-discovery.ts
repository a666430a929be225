import type { ResourceDefinition } from "../../api/index.ts";
import { parseAccept } from "../media-type.ts";
import { definitionsOf, servedGroupVersions } from "./plain-discovery.ts";

const GROUP = "apidiscovery.k8s.io";
const SHAPE = "APIGroupDiscoveryList";

/** The version of aggregated discovery that a client asks for; undefined for the plain one. */
export function aggregatedVersion(accept: string | null): "v2" | "v2beta1" | undefined {
  if (accept === null || !accept.includes(SHAPE)) return undefined;
  for (const { type, parameters } of parseAccept(accept)) {
    const version = parameters.get("v");
    const plain = type === "application/json" && parameters.get("as") === undefined;
    if (plain) return undefined;
    if (type !== "application/json" || parameters.get("as") !== SHAPE) continue;
    if (parameters.get("g") !== GROUP) continue;
    if (version === "v2" || version === "v2beta1") return version;
  }
  return undefined;
}

export function aggregatedMediaType(version: "v2" | "v2beta1"): string {
  return `application/json;g=${GROUP};v=${version};as=${SHAPE}`;
}

/** Everything that is served below /api, or below /apis, in one document. */
export function aggregatedDiscovery(
  definitions: readonly ResourceDefinition[],
  root: "api" | "apis",
  version: "v2" | "v2beta1",
): Record<string, unknown> {
  const all = servedGroupVersions(definitions);
  const served = all.filter(({ group }) => (group === "") === (root === "api"));
  const groups = [...new Set(served.map(({ group }) => group))];
  return {
    kind: SHAPE,
    apiVersion: `${GROUP}/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata:
        group === "" ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: served
        .filter((groupVersion) => groupVersion.group === group)
        .map((groupVersion) => ({
          version: groupVersion.version,
          resources: definitionsOf(definitions, groupVersion).map(resourceEntry),
          freshness: "Current",
        })),
    })),
  };
}

function resourceEntry(definition: ResourceDefinition): Record<string, unknown> {
  const { group, version, kind, resource, singular, namespaced, verbs } = definition;
  const { shortNames, categories, subresources } = definition;
  return {
    resource,
    responseKind: { group, version, kind },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(subresources.length === 0
      ? {}
      : {
          subresources: subresources.map((subresource) => ({
            subresource: subresource.name,
            responseKind: {
              group: subresource.version === undefined ? group : (subresource.group ?? ""),
              version: subresource.version ?? version,
              kind: subresource.kind,
            },
            verbs: subresource.verbs,
          })),
        }),
  };
}
