import {
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  requiredField,
  validateDns1123Subdomain,
  validateQualifiedName,
} from "../../../apimachinery/index.ts";
import { checkName, checkOneOf, checkOptionalOneOf, checkPresent } from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import type {
  MatchCondition,
  MatchResources,
  MutatingWebhook,
  MutatingWebhookConfiguration,
  RuleWithOperations,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
  WebhookClientConfig,
} from "./types.ts";

const SPEC = FieldPath.root("spec");
const MAX_TIMEOUT_SECONDS = 30;
const MAX_MATCH_CONDITIONS = 64;
const OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const POLICY_OPERATIONS = OPERATIONS;
const ACTIONS = ["Audit", "Deny", "Warn"];
const REASONS = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];

export function validateWebhooks(
  configuration: MutatingWebhookConfiguration | ValidatingWebhookConfiguration,
): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, webhook] of (configuration.webhooks ?? []).entries()) {
    const path = FieldPath.root("webhooks").index(index);
    checkWebhook(errors, path, webhook);
    const name = webhook.name ?? "";
    if (names.has(name)) {
      const at = String(path.child("name"));
      errors.push({ type: "FieldValueDuplicate", field: at, badValue: name, detail: "" });
    }
    names.add(name);
  }
  return errors;
}

function checkWebhook(
  errors: FieldError[],
  path: FieldPath,
  webhook: MutatingWebhook | ValidatingWebhook,
): void {
  const { name, timeoutSeconds } = webhook;
  checkName(errors, path.child("name"), name, validateDns1123Subdomain);
  if (name !== undefined && name.split(".").length < 3) {
    const detail = "should be a domain with at least three segments separated by dots";
    errors.push(invalidField(path.child("name"), name, detail));
  }
  for (const [index, rule] of (webhook.rules ?? []).entries()) {
    checkRule(errors, path.child("rules").index(index), rule);
  }
  checkOptionalOneOf(errors, path.child("failurePolicy"), webhook.failurePolicy, [
    "Fail",
    "Ignore",
  ]);
  checkOptionalOneOf(errors, path.child("matchPolicy"), webhook.matchPolicy, [
    "Equivalent",
    "Exact",
  ]);
  checkOneOf(errors, path.child("sideEffects"), webhook.sideEffects, ["None", "NoneOnDryRun"]);
  if (
    timeoutSeconds !== undefined &&
    (timeoutSeconds < 1 || timeoutSeconds > MAX_TIMEOUT_SECONDS)
  ) {
    const detail = "the timeout value must be between 1 and 30 seconds";
    errors.push(invalidField(path.child("timeoutSeconds"), timeoutSeconds, detail));
  }
  checkLabelSelector(errors, path.child("namespaceSelector"), webhook.namespaceSelector);
  checkLabelSelector(errors, path.child("objectSelector"), webhook.objectSelector);
  checkVersions(errors, path.child("admissionReviewVersions"), webhook.admissionReviewVersions);
  checkClientConfig(errors, path.child("clientConfig"), webhook.clientConfig);
  checkMatchConditions(errors, path.child("matchConditions"), webhook.matchConditions ?? []);
  if ("reinvocationPolicy" in webhook) {
    const at = path.child("reinvocationPolicy");
    checkOptionalOneOf(errors, at, webhook.reinvocationPolicy, ["IfNeeded", "Never"]);
  }
}

function checkVersions(
  errors: FieldError[],
  path: FieldPath,
  versions: readonly string[] | undefined,
): void {
  const understood = ["v1", "v1beta1"];
  if (versions === undefined || versions.length === 0) {
    errors.push(requiredField(path, `must specify one of ${understood.join(", ")}`));
  } else if (!versions.some((version) => understood.includes(version))) {
    const detail = `must include at least one of ${understood.join(", ")}`;
    errors.push(invalidField(path, versions, detail));
  }
}

function checkClientConfig(
  errors: FieldError[],
  path: FieldPath,
  config: WebhookClientConfig | undefined,
): void {
  const { url, service } = config ?? {};
  if ((url === undefined) === (service === undefined)) {
    errors.push(requiredField(path, "exactly one of url or service is required"));
    return;
  }
  if (url !== undefined) checkUrl(errors, path.child("url"), url);
  if (service === undefined) return;
  const at = path.child("service");
  checkPresent(errors, at.child("name"), service.name);
  checkPresent(errors, at.child("namespace"), service.namespace);
  const { port = 443, path: urlPath } = service;
  if (port < 1 || port > 65_535) {
    errors.push(
      invalidField(
        at.child("port"),
        port,
        "port is not valid: must be between 1 and 65535, inclusive",
      ),
    );
  }
  if (urlPath !== undefined && !urlPath.startsWith("/")) {
    errors.push(invalidField(at.child("path"), urlPath, "must start with a '/'"));
  }
}

function checkUrl(errors: FieldError[], path: FieldPath, text: string): void {
  const form = "desired format: https://host[/path]";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const complain = (detail: string): void => {
    errors.push(invalidField(path, text, detail));
  };
  if (url === undefined) complain(`url must be a valid URL: ${form}`);
  else if (url.protocol !== "https:") {
    complain(`'https' is the only allowed URL scheme; ${form}`);
  } else if (url.username !== "" || url.password !== "") {
    complain(`user information is not permitted in the URL; ${form}`);
  } else if (url.hash !== "") complain(`fragments are not permitted in the URL; ${form}`);
  else if (url.search !== "") complain(`query parameters are not permitted in the URL; ${form}`);
}

function checkRule(errors: FieldError[], path: FieldPath, rule: RuleWithOperations): void {
  const lists = ["operations", "apiGroups", "apiVersions", "resources"] as const;
  for (const field of lists) {
    const values = rule[field] ?? [];
    const at = path.child(field);
    if (values.length === 0) errors.push(requiredField(at));
    if (values.length > 1 && values.includes("*") && field !== "resources") {
      errors.push(invalidField(at, values, "if '*' is present, must not specify other values"));
    }
  }
  for (const [index, operation] of (rule.operations ?? []).entries()) {
    checkOneOf(errors, path.child("operations").index(index), operation, POLICY_OPERATIONS);
  }
  checkOptionalOneOf(errors, path.child("scope"), rule.scope, ["*", "Cluster", "Namespaced"]);
}

function checkMatchConditions(
  errors: FieldError[],
  path: FieldPath,
  conditions: readonly MatchCondition[],
): void {
  if (conditions.length > MAX_MATCH_CONDITIONS) {
    errors.push({
      type: "FieldValueTooMany",
      field: String(path),
      badValue: conditions.length,
      detail: `must have at most ${MAX_MATCH_CONDITIONS} items`,
    });
  }
  const names = new Set<string>();
  for (const [index, { name = "", expression = "" }] of conditions.entries()) {
    const at = path.index(index);
    checkName(errors, at.child("name"), name, validateQualifiedName);
    if (names.has(name)) {
      const field = String(at.child("name"));
      errors.push({ type: "FieldValueDuplicate", field, badValue: name, detail: "" });
    }
    names.add(name);
    if (expression.trim() === "") errors.push(requiredField(at.child("expression")));
  }
}

export function validatePolicy({ spec }: ValidatingAdmissionPolicy): FieldError[] {
  const errors: FieldError[] = [];
  const { matchConstraints, validations = [], auditAnnotations = [], variables = [] } = spec ?? {};
  checkOptionalOneOf(errors, SPEC.child("failurePolicy"), spec?.failurePolicy, ["Fail", "Ignore"]);
  if (matchConstraints === undefined) errors.push(requiredField(SPEC.child("matchConstraints")));
  else {
    const at = SPEC.child("matchConstraints");
    checkMatch(errors, at, matchConstraints);
    if ((matchConstraints.resourceRules ?? []).length === 0) {
      errors.push(requiredField(at.child("resourceRules")));
    }
  }
  if (validations.length === 0 && auditAnnotations.length === 0) {
    const detail = "validations or auditAnnotations must contain at least one item";
    errors.push(requiredField(SPEC.child("validations"), detail));
    errors.push(requiredField(SPEC.child("auditAnnotations"), detail));
  }
  for (const [index, { expression = "", reason }] of validations.entries()) {
    const at = SPEC.child("validations").index(index);
    if (expression.trim() === "") {
      errors.push(requiredField(at.child("expression"), "expression is not specified"));
    }
    checkOptionalOneOf(errors, at.child("reason"), reason, REASONS);
  }
  for (const [index, { name = "", expression = "" }] of variables.entries()) {
    const at = SPEC.child("variables").index(index);
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      const detail = "name is not a valid CEL identifier";
      errors.push(invalidField(at.child("name"), name, detail));
    }
    if (expression.trim() === "") errors.push(requiredField(at.child("expression")));
  }
  if (spec?.paramKind !== undefined) {
    checkPresent(errors, SPEC.child("paramKind", "apiVersion"), spec.paramKind.apiVersion);
    checkPresent(errors, SPEC.child("paramKind", "kind"), spec.paramKind.kind);
  }
  checkMatchConditions(errors, SPEC.child("matchConditions"), spec?.matchConditions ?? []);
  return errors;
}

export function validatePolicyBinding({ spec }: ValidatingAdmissionPolicyBinding): FieldError[] {
  const errors: FieldError[] = [];
  const { policyName, paramRef, matchResources } = spec ?? {};
  const validationActions = spec?.validationActions ?? [];
  checkName(errors, SPEC.child("policyName"), policyName, validateDns1123Subdomain);
  if (paramRef !== undefined) {
    const at = SPEC.child("paramRef");
    const { name = "", selector, parameterNotFoundAction } = paramRef;
    if (name === "" && selector === undefined) {
      errors.push(requiredField(at, "one of name or selector must be specified"));
    } else if (name !== "" && selector !== undefined) {
      const detail = "name and selector are mutually exclusive";
      errors.push(forbiddenField(at.child("name"), detail));
    }
    const missing = at.child("parameterNotFoundAction");
    checkOneOf(errors, missing, parameterNotFoundAction, ["Allow", "Deny"]);
  }
  if (matchResources !== undefined)
    checkMatch(errors, SPEC.child("matchResources"), matchResources);
  const at = SPEC.child("validationActions");
  if (validationActions.length === 0)
    errors.push(requiredField(at, "at least one validation action is required"));
  const seen = new Set<string>();
  for (const [index, action] of validationActions.entries()) {
    checkOneOf(errors, at.index(index), action, ACTIONS);
    if (seen.has(action)) {
      const field = String(at.index(index));
      errors.push({ type: "FieldValueDuplicate", field, badValue: action, detail: "" });
    }
    seen.add(action);
  }
  if (seen.has("Deny") && seen.has("Warn")) {
    const detail =
      "must not contain both Deny and Warn (repeating the same validation failure information " +
      "in the API response and headers serves no purpose)";
    errors.push(invalidField(at, validationActions, detail));
  }
  return errors;
}

function checkMatch(errors: FieldError[], path: FieldPath, match: MatchResources): void {
  checkOptionalOneOf(errors, path.child("matchPolicy"), match.matchPolicy, ["Equivalent", "Exact"]);
  checkLabelSelector(errors, path.child("namespaceSelector"), match.namespaceSelector);
  checkLabelSelector(errors, path.child("objectSelector"), match.objectSelector);
  for (const field of ["resourceRules", "excludeResourceRules"] as const) {
    for (const [index, rule] of (match[field] ?? []).entries()) {
      checkRule(errors, path.child(field).index(index), rule);
    }
  }
}
