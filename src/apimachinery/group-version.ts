import type { KubeObject } from "./meta.ts";

export interface GroupVersion {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
}

export interface GroupVersionKind extends GroupVersion {
  readonly kind: string;
}

export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

/** "v1" for the core group, otherwise "apps/v1". */
export function apiVersionOf(groupVersion: GroupVersion): string {
  return groupVersion.group === ""
    ? groupVersion.version
    : `${groupVersion.group}/${groupVersion.version}`;
}

/** The parts of "v1" or "apps/v1"; undefined when there is more than one slash. */
export function parseApiVersion(apiVersion: string): GroupVersion | undefined {
  const slash = apiVersion.indexOf("/");
  if (slash < 0) return { group: "", version: apiVersion };
  if (apiVersion.includes("/", slash + 1)) return undefined;
  return { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** What an object says it is; undefined when apiVersion or kind is missing or malformed. */
export function groupVersionKindOf(object: KubeObject): GroupVersionKind | undefined {
  if (typeof object.apiVersion !== "string" || typeof object.kind !== "string") return undefined;
  const groupVersion = parseApiVersion(object.apiVersion);
  return groupVersion && { ...groupVersion, kind: object.kind };
}

/** "pods" or "deployments.apps", as messages name a resource. */
export function groupResourceText(groupResource: GroupResource): string {
  return groupResource.group === ""
    ? groupResource.resource
    : `${groupResource.resource}.${groupResource.group}`;
}

/** "Pod" or "Deployment.apps", as messages name a kind. */
export function groupKindText(groupKind: GroupKind): string {
  return groupKind.group === "" ? groupKind.kind : `${groupKind.kind}.${groupKind.group}`;
}
