import {
  type FieldError,
  FieldPath,
  invalidField,
  jsonEquals,
  notSupportedField,
  requiredField,
  validateDns1123Subdomain,
} from "../../../apimachinery/index.ts";
import { checkName, checkPresent, reject } from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import { PATH_SEGMENT_NAME } from "../../name-rules.ts";
import { RBAC_GROUP } from "./binding-defaults.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from "./types.ts";

type Scope = "cluster" | "namespace";
type Binding = RoleBinding | ClusterRoleBinding;

export function validateRole({ rules }: Role): FieldError[] {
  const errors: FieldError[] = [];
  checkRules(errors, rules, "namespace");
  return errors;
}

export function validateClusterRole({ rules, aggregationRule }: ClusterRole): FieldError[] {
  const errors: FieldError[] = [];
  checkRules(errors, rules, "cluster");
  if (aggregationRule === undefined) return errors;
  const path = FieldPath.root("aggregationRule", "clusterRoleSelectors");
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    const detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
    errors.push(requiredField(path, detail));
  }
  for (const [index, selector] of selectors.entries()) {
    checkLabelSelector(errors, path.index(index), selector);
  }
  return errors;
}

export function validateRoleBinding(binding: RoleBinding): FieldError[] {
  return validateBinding(binding, ["ClusterRole", "Role"], "namespace");
}

export function validateClusterRoleBinding(binding: ClusterRoleBinding): FieldError[] {
  return validateBinding(binding, ["ClusterRole"], "cluster");
}

/** What a binding grants cannot change under those it is granted to. */
export function validateBindingUpdate(next: Binding, old: Binding): FieldError[] {
  if (jsonEquals(next.roleRef, old.roleRef)) return [];
  return [invalidField("roleRef", next.roleRef, "cannot change roleRef")];
}

function validateBinding(
  binding: Binding,
  roleKinds: readonly string[],
  scope: Scope,
): FieldError[] {
  const errors: FieldError[] = [];
  const roleRef: Partial<RoleRef> = binding.roleRef ?? {};
  const path = FieldPath.root("roleRef");
  if (roleRef.apiGroup !== RBAC_GROUP) {
    errors.push(notSupportedField(path.child("apiGroup"), roleRef.apiGroup ?? "", [RBAC_GROUP]));
  }
  if (!roleKinds.includes(roleRef.kind ?? "")) {
    errors.push(notSupportedField(path.child("kind"), roleRef.kind ?? "", roleKinds));
  }
  const rule = (name: string) => PATH_SEGMENT_NAME(name, { prefix: false });
  checkName(errors, path.child("name"), roleRef.name, rule);
  for (const [index, subject] of (binding.subjects ?? []).entries()) {
    checkSubject(errors, FieldPath.root("subjects").index(index), subject, scope);
  }
  return errors;
}

function checkSubject(errors: FieldError[], at: FieldPath, subject: Subject, scope: Scope): void {
  const { kind = "", name, apiGroup = "", namespace } = subject as Partial<Subject>;
  checkPresent(errors, at.child("name"), name);
  switch (kind) {
    case "ServiceAccount":
      if (name) reject(errors, at.child("name"), name, validateDns1123Subdomain(name));
      if (apiGroup !== "") errors.push(notSupportedField(at.child("apiGroup"), apiGroup, [""]));
      if (scope === "cluster" || !namespace) checkPresent(errors, at.child("namespace"), namespace);
      break;
    case "User":
    case "Group":
      if (apiGroup !== RBAC_GROUP) {
        errors.push(notSupportedField(at.child("apiGroup"), apiGroup, [RBAC_GROUP]));
      }
      break;
    default: {
      const supported = ["Group", "ServiceAccount", "User"];
      errors.push(notSupportedField(at.child("kind"), kind, supported));
    }
  }
}

function checkRules(
  errors: FieldError[],
  rules: readonly PolicyRule[] | undefined,
  scope: Scope,
): void {
  for (const [index, rule] of (rules ?? []).entries()) {
    checkRule(errors, FieldPath.root("rules").index(index), rule, scope);
  }
}

function checkRule(errors: FieldError[], at: FieldPath, rule: PolicyRule, scope: Scope): void {
  const { verbs, apiGroups = [], resources = [], nonResourceURLs = [] } = rule;
  const isEmpty = (list: readonly string[] | undefined) => (list?.length ?? 0) === 0;
  if (isEmpty(verbs)) {
    errors.push(requiredField(at.child("verbs"), "verbs must contain at least one value"));
  }
  if (nonResourceURLs.length > 0) {
    const urls = at.child("nonResourceURLs");
    if (scope === "namespace") {
      const detail = "namespaced rules cannot apply to non-resource URLs";
      errors.push(invalidField(urls, nonResourceURLs, detail));
    }
    if (!isEmpty(apiGroups) || !isEmpty(resources) || !isEmpty(rule.resourceNames)) {
      const detail = "rules cannot apply to both regular resources and non-resource URLs";
      errors.push(invalidField(urls, nonResourceURLs, detail));
    }
    return;
  }
  if (isEmpty(apiGroups)) {
    const detail = "resource rules must supply at least one api group";
    errors.push(requiredField(at.child("apiGroups"), detail));
  }
  if (isEmpty(resources)) {
    const detail = "resource rules must supply at least one resource";
    errors.push(requiredField(at.child("resources"), detail));
  }
}
