import type { ClusterRole, PolicyRule } from "../../api/index.ts";
import { jsonEquals, labelSelectorFrom, matchesLabels } from "../../apimachinery/index.ts";

export type ClusterRoles = ReadonlyMap<string, Readonly<ClusterRole>>;

/** The rules of an aggregated role: those of its parts, each once, in the order of their names. */
export function aggregatedRules(roles: ClusterRoles, name: string): readonly PolicyRule[] {
  const rules = new Map<string, PolicyRule>();
  collect(roles, roles.get(name), rules, new Set([name]));
  return [...rules.values()];
}

/** Every aggregated role whose object does not show the sum of its parts. */
export function unsettledRoles(
  roles: ClusterRoles,
): { readonly name: string; readonly rules: readonly PolicyRule[] }[] {
  return [...roles].flatMap(([name, role]) => {
    if (role.aggregationRule === undefined) return [];
    const rules = aggregatedRules(roles, name);
    return jsonEquals(rules, role.rules ?? []) ? [] : [{ name, rules }];
  });
}

/** Adds the rules of a role's parts, by their text; parts may be sums too, in circles even. */
function collect(
  roles: ClusterRoles,
  role: Readonly<ClusterRole> | undefined,
  into: Map<string, PolicyRule>,
  seen: Set<string>,
): void {
  for (const given of role?.aggregationRule?.clusterRoleSelectors ?? []) {
    const selector = labelSelectorFrom(given);
    for (const name of [...roles.keys()].sort()) {
      const part = roles.get(name);
      if (part === undefined || seen.has(name)) continue;
      if (!matchesLabels(selector, part.metadata.labels)) continue;
      seen.add(name);
      if (part.aggregationRule !== undefined) collect(roles, part, into, seen);
      else for (const rule of part.rules ?? []) into.set(JSON.stringify(rule), rule);
    }
  }
}
