import type { PolicyRule } from "../../api/index.ts";
import { namesPath, namesResource } from "./rule-match.ts";

/**
 * Of the wanted rules what the held ones do not allow, taken apart into single rights (one verb on
 * one resource or path) and put together again by resource. Empty when all of it is held.
 */
export function missingRights(
  held: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): PolicyRule[] {
  const missing = wanted
    .flatMap(singleRights)
    .filter((right) => !held.some((rule) => covers(rule, right)));
  return joined(missing);
}

function* combinations(rule: PolicyRule): Generator<PolicyRule> {
  for (const verb of rule.verbs ?? []) {
    for (const url of rule.nonResourceURLs ?? []) yield { nonResourceURLs: [url], verbs: [verb] };
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const right = { apiGroups: [group], resources: [resource], verbs: [verb] };
        const names = rule.resourceNames ?? [];
        if (names.length === 0) yield right;
        for (const name of names) yield { ...right, resourceNames: [name] };
      }
    }
  }
}

function singleRights(rule: PolicyRule): PolicyRule[] {
  return [...combinations(rule)];
}

function covers(held: PolicyRule, right: PolicyRule): boolean {
  const [verb = ""] = right.verbs;
  if (!includes(held.verbs, verb)) return false;
  const url = right.nonResourceURLs?.[0];
  if (url !== undefined) return namesPath(held.nonResourceURLs, url);
  if (!includes(held.apiGroups, right.apiGroups?.[0] ?? "")) return false;
  const [resource = "", subresource = ""] = (right.resources?.[0] ?? "").split("/", 2);
  if (!namesResource(held.resources, resource, subresource)) return false;
  const names = held.resourceNames ?? [];
  const [name] = right.resourceNames ?? [];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

function includes(listed: readonly string[] | undefined, value: string): boolean {
  return listed !== undefined && (listed.includes("*") || listed.includes(value));
}

/** Rights about the same thing become one rule with several verbs. */
function joined(rights: readonly PolicyRule[]): PolicyRule[] {
  const bySubject = new Map<string, PolicyRule>();
  for (const right of rights) {
    const { verbs, ...subject } = right;
    const key = JSON.stringify(subject);
    const known = bySubject.get(key);
    if (known === undefined) bySubject.set(key, { ...subject, verbs: [...verbs] });
    else known.verbs.push(...verbs.filter((verb) => !known.verbs.includes(verb)));
  }
  return [...bySubject.values()];
}

/** As Kubernetes writes a rule into its messages. */
export function ruleText(rule: PolicyRule): string {
  const parts: [string, readonly string[] | undefined][] = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["ResourceNames", rule.resourceNames],
    ["Verbs", rule.verbs],
  ];
  const texts = parts
    .filter(([, values]) => (values?.length ?? 0) > 0)
    .map(([name, values]) => `${name}:${quotedList(values ?? [])}`);
  return `{${texts.join(", ")}}`;
}

/** ["a" "b"] */
export function quotedList(values: readonly string[]): string {
  return `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;
}
