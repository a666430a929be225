import {
  type FieldError,
  FieldPath,
  immutableField,
  invalidField,
  jsonEquals,
  requiredField,
  validateDns1035Label,
  validateDns1123Subdomain,
} from "../../../apimachinery/index.ts";
import { checkName, checkOneOf, checkOptional, reject } from "../../field-checks.ts";
import { checkVersion } from "./custom-resource-version-validation.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
} from "./types.ts";

const SPEC = FieldPath.root("spec");
const APPROVED = "api-approved.kubernetes.io";
const PROTECTED_GROUP = /(^|\.)(k8s|kubernetes)\.io$/;

/** Everything wrong with a definition, but what its metadata has in common with all objects. */
export function validateCustomResourceDefinition(
  definition: CustomResourceDefinition,
): FieldError[] {
  const errors: FieldError[] = [];
  const { metadata } = definition;
  const spec = definition.spec ?? ({} as Partial<CustomResourceDefinitionSpec>);
  const names: CustomResourceDefinitionNames = spec.names ?? { plural: "", kind: "" };
  const group = spec.group ?? "";
  if (metadata.name !== `${names.plural ?? ""}.${group}`) {
    const detail = 'must be spec.names.plural+"."+spec.group';
    errors.push(invalidField("metadata.name", metadata.name ?? "", detail));
  }
  checkGroup(errors, group);
  checkApproval(errors, definition, group);
  checkOneOf(errors, SPEC.child("scope"), spec.scope, ["Cluster", "Namespaced"]);
  if (spec.preserveUnknownFields === true) {
    const detail =
      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in " +
      "spec.versions[*].schema instead";
    errors.push(invalidField(SPEC.child("preserveUnknownFields"), true, detail));
  }
  checkVersions(errors, spec);
  checkNames(errors, SPEC.child("names"), names);
  checkConversion(errors, spec);
  return errors;
}

/** What cannot change any more, and versions that objects may still be stored in. */
export function validateCustomResourceDefinitionUpdate(
  next: CustomResourceDefinition,
  old: CustomResourceDefinition,
): FieldError[] {
  const errors: FieldError[] = [];
  const keep = (path: FieldPath, value: unknown, before: unknown): void => {
    if (!jsonEquals(value, before)) errors.push(immutableField(path, value));
  };
  if (isEstablished(old)) {
    keep(SPEC.child("scope"), next.spec?.scope, old.spec?.scope);
    keep(SPEC.child("names", "kind"), next.spec?.names?.kind, old.spec?.names?.kind);
  }
  keep(SPEC.child("group"), next.spec?.group, old.spec?.group);
  keep(SPEC.child("names", "plural"), next.spec?.names?.plural, old.spec?.names?.plural);
  const known = new Set(next.spec?.versions?.map(({ name }) => name));
  for (const [index, version] of (next.status?.storedVersions ?? []).entries()) {
    if (known.has(version)) continue;
    const detail =
      `missing from spec.versions; ${version} was previously a storage version, and must remain ` +
      "in spec.versions until a storage migration ensures no data remains persisted in " +
      `${version} and removes ${version} from status.storedVersions`;
    errors.push(
      invalidField(FieldPath.root("status", "storedVersions").index(index), version, detail),
    );
  }
  return errors;
}

/** Whether a definition's kind is served. */
export function isEstablished({ status }: CustomResourceDefinition): boolean {
  return (
    status?.conditions?.some(
      (condition) => condition.type === "Established" && condition.status === "True",
    ) ?? false
  );
}

function checkGroup(errors: FieldError[], group: string): void {
  const path = SPEC.child("group");
  checkName(errors, path, group, validateDns1123Subdomain);
  if (group !== "" && !group.includes(".")) {
    errors.push(invalidField(path, group, "should be a domain with at least one dot"));
  }
}

/** Groups of the community are for what the community has agreed on. */
function checkApproval(
  errors: FieldError[],
  { metadata }: CustomResourceDefinition,
  group: string,
): void {
  if (!PROTECTED_GROUP.test(group)) return;
  const path = FieldPath.root("metadata", "annotations").key(APPROVED);
  const value = metadata.annotations?.[APPROVED] ?? "";
  const see = "see https://github.com/kubernetes/enhancements/pull/1111";
  if (value === "") {
    const detail = `protected groups must have approval annotation "${APPROVED}", ${see}`;
    errors.push(requiredField(path, detail));
  } else if (!value.startsWith("unapproved") && !URL.canParse(value)) {
    const detail =
      `protected groups must have approval annotation "${APPROVED}" with either a URL or a ` +
      `reason starting with "unapproved", ${see}`;
    errors.push(invalidField(path, value, detail));
  }
}

function checkVersions(
  errors: FieldError[],
  { versions = [] }: Partial<CustomResourceDefinitionSpec>,
): void {
  const path = SPEC.child("versions");
  const names = new Set<string>();
  let unique = true;
  for (const [index, version] of versions.entries()) {
    const at = path.index(index);
    const name = version.name ?? "";
    if (names.has(name)) unique = false;
    names.add(name);
    reject(errors, at.child("name"), name, validateDns1035Label(name));
    checkVersion(errors, at, version);
  }
  const shown = versions.map(({ name }) => name);
  if (!unique) errors.push(invalidField(path, shown, "must contain unique version names"));
  if (versions.filter(({ storage }) => storage).length !== 1) {
    const detail = "must have exactly one version marked as storage version";
    errors.push(invalidField(path, shown, detail));
  }
}

function checkNames(
  errors: FieldError[],
  path: FieldPath,
  names: CustomResourceDefinitionNames,
): void {
  const { plural, singular, kind, listKind, shortNames = [], categories = [] } = names;
  checkName(errors, path.child("plural"), plural, validateDns1035Label);
  checkOptional(errors, path.child("singular"), singular, validateDns1035Label);
  for (const [index, name] of shortNames.entries()) {
    reject(errors, path.child("shortNames").index(index), name, validateDns1035Label(name));
  }
  const mixedCase = (name: string): string[] =>
    validateDns1035Label(name.toLowerCase()).map(
      (why) => `may have mixed case, but should otherwise match: ${why}`,
    );
  checkName(errors, path.child("kind"), kind, mixedCase);
  checkName(errors, path.child("listKind"), listKind, mixedCase);
  if (kind !== undefined && kind !== "" && kind === listKind) {
    const detail = "kind and listKind may not be the same";
    errors.push(invalidField(path.child("listKind"), listKind, detail));
  }
  for (const [index, name] of categories.entries()) {
    reject(errors, path.child("categories").index(index), name, validateDns1035Label(name));
  }
}

/** Objects of all versions are the same but for their apiVersion: nobody is asked to convert. */
function checkConversion(
  errors: FieldError[],
  { conversion }: Partial<CustomResourceDefinitionSpec>,
): void {
  const path = SPEC.child("conversion");
  checkOneOf(errors, path.child("strategy"), conversion?.strategy, ["None", "Webhook"]);
  if (conversion?.strategy === "None" && conversion.webhook !== undefined) {
    const detail = "should not be set when strategy is not set to Webhook";
    errors.push({
      type: "FieldValueForbidden",
      field: String(path.child("webhook")),
      detail,
    });
  }
  if (conversion?.strategy === "Webhook" && conversion.webhook === undefined) {
    const detail = "required when strategy is set to Webhook";
    errors.push(requiredField(path.child("webhook", "clientConfig"), detail));
  }
}
