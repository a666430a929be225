import type { admissionregistrationV1 } from "../../api/index.ts";
import {
  type KubeObject,
  labelSelectorFrom,
  matchesLabels,
  type MetaLabelSelector,
} from "../../apimachinery/index.ts";
import type { AdmissionAttributes } from "./admission-attributes.ts";

type Rule = admissionregistrationV1.NamedRuleWithOperations;

interface Selectors {
  readonly namespaceSelector?: MetaLabelSelector | undefined;
  readonly objectSelector?: MetaLabelSelector | undefined;
}

/** Whether a write is among those that one of the rules names. */
export function matchesRules(
  rules: readonly Rule[] | undefined,
  attributes: AdmissionAttributes,
): boolean {
  return (rules ?? []).some((rule) => matchesRule(rule, attributes));
}

/** Whether the object, as it was or as it will be, and its namespace are selected. */
export function matchesSelectors(
  { namespaceSelector, objectSelector }: Selectors,
  attributes: AdmissionAttributes,
): boolean {
  const { namespaceObject, object, old } = attributes;
  if (!isEmpty(namespaceSelector) && namespaceObject !== undefined) {
    if (!selects(namespaceSelector, namespaceObject)) return false;
  }
  if (isEmpty(objectSelector)) return true;
  return [object, old].some((one) => one !== undefined && selects(objectSelector, one));
}

export function matchesResources(
  match: admissionregistrationV1.MatchResources | undefined,
  attributes: AdmissionAttributes,
): boolean {
  if (match === undefined) return true;
  if (!matchesSelectors(match, attributes)) return false;
  if (matchesRules(match.excludeResourceRules, attributes)) return false;
  const rules = match.resourceRules ?? [];
  return rules.length === 0 || matchesRules(rules, attributes);
}

function matchesRule(rule: Rule, { context, operation, name }: AdmissionAttributes): boolean {
  const { definition, subresource } = context;
  const { scope = "*", resourceNames = [] } = rule;
  if (scope !== "*" && (scope === "Namespaced") !== definition.namespaced) return false;
  if (resourceNames.length > 0 && !resourceNames.includes(name)) return false;
  return (
    isAmong(rule.operations, operation) &&
    isAmong(rule.apiGroups, definition.group) &&
    isAmong(rule.apiVersions, definition.version) &&
    (rule.resources ?? []).some((resource) => {
      const [wanted = "", part = ""] = resource.split("/");
      const isWanted = wanted === "*" || wanted === definition.resource;
      // "*/*" is everything, "*" what has no subresource.
      return isWanted && (part === "*" || part === subresource);
    })
  );
}

function isAmong(values: readonly string[] | undefined, value: string): boolean {
  return (values ?? []).some((one) => one === "*" || one === value);
}

function isEmpty(selector: MetaLabelSelector | undefined): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}

function selects(
  selector: MetaLabelSelector | undefined,
  { metadata }: Readonly<KubeObject>,
): boolean {
  return matchesLabels(labelSelectorFrom(selector ?? {}), metadata.labels);
}
