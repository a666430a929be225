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

/** What the fake API serves: every resource the client names. */
export const FAKE_RESOURCES = {
  discovery(path: string): unknown {
    if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
    if (path === "/apis") {
      const groups = [...new Set(served.map(({ group }) => group))].filter((name) => name !== "");
      return {
        kind: "APIGroupList",
        groups: groups.map((name) => {
          const preferred = { groupVersion: `${name}/v1`, version: "v1" };
          return { name, versions: [preferred], preferredVersion: preferred };
        }),
      };
    }
    const match = /^\/(?:api|apis\/([^/]+))\/v1$/.exec(path);
    if (match === null) return undefined;
    const group = match[1] ?? "";
    return {
      kind: "APIResourceList",
      groupVersion: group === "" ? "v1" : `${group}/v1`,
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
  const match = /^\/(?:api|apis\/([^/]+))\/v1\/(.+)$/.exec(path);
  if (match === null) return undefined;
  const group = match[1] ?? "";
  const parts = (match[2] ?? "").split("/").map(decodeURIComponent);
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
