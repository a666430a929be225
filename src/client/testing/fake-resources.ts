import * as resources from "../resources.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import type { ApiResource } from "../resources.ts";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

const served = Object.values(resources) as unknown as readonly ApiResource<KubeObject>[];

export interface FakeTarget {
  readonly resource: string;
  readonly kind: string;
  /** `group/resource` */
  readonly collection: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

/** Every group is served in one version. */
function versionOf(group: string): string {
  return served.find((resource) => resource.group === group)?.version ?? "v1";
}

/** What the fake API serves: every resource the client names. */
export const FAKE_RESOURCES = {
  discovery(path: string): unknown {
    if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
    if (path === "/apis") {
      const groups = [...new Set(served.map(({ group }) => group))].filter((name) => name !== "");
      return {
        kind: "APIGroupList",
        groups: groups.map((name) => {
          const version = versionOf(name);
          const preferred = { groupVersion: `${name}/${version}`, version };
          return { name, versions: [preferred], preferredVersion: preferred };
        }),
      };
    }
    const match = /^\/(?:api|apis\/([^/]+))\/(v[^/]+)$/.exec(path);
    const group = match?.[1] ?? "";
    if (match === null || match[2] !== versionOf(group)) return undefined;
    return {
      kind: "APIResourceList",
      groupVersion: group === "" ? "v1" : `${group}/${versionOf(group)}`,
      resources: served
        .filter((resource) => resource.group === group)
        .map(({ resource, kind, namespaced }) => ({
          name: resource,
          singularName: kind.toLowerCase(),
          kind,
          namespaced,
          verbs: VERBS,
        })),
    };
  },
};

/** Reads a path of the API; undefined for a resource that is not served. */
export function parseTarget(path: string): FakeTarget | undefined {
  const match = /^\/(?:api|apis\/([^/]+))\/(v[^/]+)\/(.+)$/.exec(path);
  const group = match?.[1] ?? "";
  if (match === null || match[2] !== versionOf(group)) return undefined;
  const parts = (match[3] ?? "").split("/").map(decodeURIComponent);
  const inNamespace = parts[0] === "namespaces" && isResource(group, parts[2]);
  const [resource, name, subresource] = inNamespace ? parts.slice(2) : parts;
  const known = served.find((one) => one.group === group && one.resource === resource);
  if (known === undefined) return undefined;
  return {
    resource: known.resource,
    kind: known.kind,
    collection: `${group}/${known.resource}`,
    ...(inNamespace && parts[1] !== undefined ? { namespace: parts[1] } : {}),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function isResource(group: string, resource: string | undefined): boolean {
  return served.some((one) => one.group === group && one.resource === resource);
}
