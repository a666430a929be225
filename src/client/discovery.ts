import type { APIGroupList, APIResourceList } from "../api/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { apiErrorFrom } from "./api-error.ts";
import type { Client } from "./client.ts";
import type { ApiResource } from "./resources.ts";

export interface DiscoveredResource extends ApiResource<KubeObject> {
  readonly verbs: readonly string[];
}

export interface Discovery {
  /** One version of each resource: the one its group prefers, or else the first that has it. */
  readonly resources: readonly DiscoveredResource[];
  /** Group-versions that could not be read, with why: what they hold is not known. */
  readonly failures: readonly string[];
}

/** Asks the API server what it serves. Rejects when even the list of groups cannot be had. */
export async function discoverResources(client: Client): Promise<Discovery> {
  const groups = await fetchJson<APIGroupList>(client, "/apis");
  const groupVersions = [
    "v1",
    ...groups.groups.flatMap(({ preferredVersion, versions }) => {
      const preferred = preferredVersion?.groupVersion;
      const others = versions.map(({ groupVersion }) => groupVersion);
      return preferred === undefined ? others : [preferred, ...others];
    }),
  ];
  const found = new Map<string, DiscoveredResource>();
  const failures: string[] = [];
  for (const groupVersion of new Set(groupVersions)) {
    const path = groupVersion === "v1" ? "/api/v1" : `/apis/${groupVersion}`;
    try {
      const list = await fetchJson<APIResourceList>(client, path);
      for (const resource of resourcesOf(groupVersion, list)) {
        const key = `${resource.group}/${resource.resource}`;
        if (!found.has(key)) found.set(key, resource);
      }
    } catch (error) {
      failures.push(`${groupVersion}: ${error instanceof Error ? error.message : "unknown error"}`);
    }
  }
  return { resources: [...found.values()], failures };
}

function resourcesOf(groupVersion: string, list: APIResourceList): DiscoveredResource[] {
  const [group, version] = groupVersion.includes("/")
    ? groupVersion.split("/")
    : ["", groupVersion];
  return list.resources
    .filter(({ name }) => !name.includes("/"))
    .map(({ name, kind, namespaced, verbs }) => ({
      group: group ?? "",
      version: version ?? "",
      resource: name,
      kind,
      namespaced,
      verbs,
    }));
}

async function fetchJson<T>(client: Client, path: string): Promise<T> {
  const response = await client.raw(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw await apiErrorFrom(response);
  return (await response.json()) as T;
}
