import type { PolicyRule } from "../../api/index.ts";
import type { Attributes } from "../authorizer.ts";

const ALL = "*";

/** Whether a rule allows what a request wants. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!holds(rule.verbs, attributes.verb)) return false;
  if (attributes.type === "path") return allowsPath(rule, attributes.path);
  const { group, resource, subresource, name } = attributes;
  return (
    holds(rule.apiGroups, group) &&
    namesResource(rule.resources, resource, subresource) &&
    namesObject(rule.resourceNames, name)
  );
}

/** Whether a list of a rule's resources includes "pods" or "pods/log"; "*\/log" is every log. */
export function namesResource(
  listed: readonly string[] | undefined,
  resource: string,
  subresource: string,
): boolean {
  if (listed === undefined) return false;
  const full = subresource === "" ? resource : `${resource}/${subresource}`;
  for (const entry of listed) {
    if (entry === ALL || entry === full) return true;
    if (subresource !== "" && entry.startsWith("*/") && entry.slice(2) === subresource) return true;
  }
  return false;
}

/** Whether a list of paths includes this one; "/api/*" is everything below. */
export function namesPath(listed: readonly string[] | undefined, path: string): boolean {
  if (listed === undefined) return false;
  return listed.some(
    (entry) =>
      entry === ALL ||
      entry === path ||
      (entry.endsWith(ALL) && path.startsWith(entry.slice(0, -1))),
  );
}

function allowsPath(rule: PolicyRule, path: string): boolean {
  return namesPath(rule.nonResourceURLs, path);
}

function holds(listed: readonly string[] | undefined, value: string): boolean {
  return listed !== undefined && (listed.includes(value) || listed.includes(ALL));
}

/** Without names a rule is about all objects, and about collections. */
function namesObject(listed: readonly string[] | undefined, name: string): boolean {
  return listed === undefined || listed.length === 0 || listed.includes(name);
}
