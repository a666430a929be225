import type { PolicyRule } from "../../api/index.ts";

export const READ = "get list watch";
export const WRITE = "create delete deletecollection patch update";
export const ALL_VERBS = `create delete deletecollection get list patch update watch`;

/** A rule from words: allow("get list", "apps", "deployments deployments/scale"). */
export function allow(verbs: string, group: string, resources: string, names = ""): PolicyRule {
  return {
    apiGroups: [group],
    resources: resources.split(" "),
    verbs: verbs.split(" "),
    ...(names === "" ? {} : { resourceNames: names.split(" ") }),
  };
}

/** A rule about the same resources of several groups, for kinds that have moved. */
export function allowIn(verbs: string, groups: readonly string[], resources: string): PolicyRule {
  return { ...allow(verbs, "", resources), apiGroups: [...groups] };
}

/** A rule about paths that are no resources. */
export function allowPaths(verbs: string, paths: string): PolicyRule {
  return { nonResourceURLs: paths.split(" "), verbs: verbs.split(" ") };
}

/** Events, in both of their groups. */
export function recordEvents(): PolicyRule {
  return allowIn("create patch update", ["", "events.k8s.io"], "events");
}
