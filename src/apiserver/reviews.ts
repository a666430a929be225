import type { authenticationV1, authorizationV1 } from "../api/index.ts";
import {
  badRequest,
  type FieldError,
  groupResourceText,
  invalid,
  invalidField,
  type KubeObject,
  requiredField,
} from "../apimachinery/index.ts";
import { answerObject } from "./answer.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Attributes } from "./authorizer.ts";
import { intake } from "./object-intake.ts";
import { writeQueryOf } from "./query-options.ts";
import { decodeBody } from "./request-body.ts";
import { ISSUER } from "./tokens/service-account-claims.ts";
import { isSignedToken } from "./tokens/token-keys.ts";
import type { User } from "./user.ts";

type AccessSpec = authorizationV1.SubjectAccessReviewSpec;

const CREATED = 201;
const SPEC = "spec";

/** Whether objects of this group are questions, answered at once and never stored. */
export function isReview({ group }: { readonly group: string }): boolean {
  return group === "authorization.k8s.io" || group === "authentication.k8s.io";
}

/** POST of a review: the same object, with the answer as its status. */
export async function answerReview(api: ApiRequest): Promise<Response> {
  const { definition, warnings, query, media } = api;
  const { fieldValidation } = writeQueryOf(query, "CreateOptions");
  const duplicates = fieldValidation === "Ignore" ? "ignore" : "report";
  const body = await decodeBody(api.request, { duplicates, expected: definition.kind });
  const review = intake(definition, body, { fieldValidation, warnings });
  const status = await statusOf(api, review);
  const { kind, apiVersion, metadata, spec } = review as KubeObject & { spec?: unknown };
  const asked = spec === undefined ? {} : { spec };
  const answer = { kind, apiVersion, metadata, ...asked, status };
  return answerObject(answer, media, { status: CREATED, warnings });
}

async function statusOf(api: ApiRequest, review: KubeObject): Promise<unknown> {
  const resource = groupResourceText(api.definition);
  const spec = (review[SPEC] ?? {}) as AccessSpec;
  switch (resource) {
    case "selfsubjectaccessreviews.authorization.k8s.io":
      assertOneQuestion(api, spec);
      return access(api, api.user, spec);
    case "subjectaccessreviews.authorization.k8s.io":
      assertSubject(api, spec);
      return access(api, subjectOf(spec), spec);
    case "localsubjectaccessreviews.authorization.k8s.io":
      assertLocal(api, spec);
      return access(api, subjectOf(spec), spec);
    case "selfsubjectrulesreviews.authorization.k8s.io":
      return rules(api, review as authorizationV1.SelfSubjectRulesReview);
    case "selfsubjectreviews.authentication.k8s.io":
      return { userInfo: userInfo(api.user) };
    default:
      return token(api, review as authenticationV1.TokenReview);
  }
}

function access(api: ApiRequest, user: User, spec: AccessSpec) {
  const { allowed, reason } = api.context.access.decide(user, attributesIn(spec));
  return reason === "" ? { allowed } : { allowed, reason };
}

/** What the question is about; "*" in it asks for everything, which only a "*" in a rule allows. */
function attributesIn({ resourceAttributes, nonResourceAttributes }: AccessSpec): Attributes {
  if (resourceAttributes === undefined) {
    const { path = "", verb = "" } = nonResourceAttributes ?? {};
    return { type: "path", path, verb };
  }
  const { fieldSelector, ...given } = resourceAttributes;
  const text = (value: string | undefined): string => value ?? "";
  const selector = selectorText(fieldSelector);
  return {
    type: "resource",
    verb: text(given.verb),
    group: text(given.group),
    version: text(given.version),
    resource: text(given.resource),
    subresource: text(given.subresource),
    namespace: text(given.namespace),
    name: text(given.name),
    ...(selector === "" ? {} : { fieldSelector: selector }),
  };
}

function selectorText(selector: authorizationV1.FieldSelectorAttributes | undefined): string {
  if (selector?.requirements === undefined) return selector?.rawSelector ?? "";
  return selector.requirements
    .filter(({ operator, values }) => operator === "In" && values?.length === 1)
    .map(({ key, values }) => `${key}=${values?.[0]}`)
    .join(",");
}

function subjectOf({ user = "", groups = [], uid, extra }: AccessSpec): User {
  return {
    name: user,
    groups,
    ...(uid === undefined ? {} : { uid }),
    ...(extra === undefined ? {} : { extra }),
  };
}

function rules(api: ApiRequest, { spec }: authorizationV1.SelfSubjectRulesReview) {
  const namespace = spec?.namespace ?? "";
  if (namespace === "") throw badRequest("no namespace on request");
  const all = api.context.access.rulesOf(api.user, namespace);
  return {
    resourceRules: all
      .filter(({ resources = [] }) => resources.length > 0)
      .map(({ verbs, apiGroups = [], resources = [], resourceNames = [] }) => ({
        verbs,
        apiGroups,
        resources,
        ...(resourceNames.length === 0 ? {} : { resourceNames }),
      })),
    nonResourceRules: all
      .filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0)
      .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  };
}

async function token(api: ApiRequest, { spec }: authenticationV1.TokenReview) {
  const text = spec?.token ?? "";
  if (text === "") throw badRequest("token is required for TokenReview in authentication");
  const wanted = (spec?.audiences ?? []).length === 0 ? [ISSUER] : (spec?.audiences ?? []);
  const own = await api.context.serviceAccountTokens?.review(text, wanted);
  if (own !== undefined) {
    return { authenticated: true, user: userInfo(own.user), audiences: own.audiences };
  }
  const headers = { authorization: `Bearer ${encodedToken(text)}` };
  const asked = new Request(api.request.url, { headers });
  const user = isSignedToken(text)
    ? undefined
    : await api.context.authenticator.authenticate(asked);
  if (user === undefined) return { user: {}, error: "invalid bearer token" };
  // Other tokens are for the API alone.
  const audiences = wanted.filter((audience) => audience === ISSUER);
  if (audiences.length === 0) return { user: {}, error: "token audiences do not match" };
  return { authenticated: true, user: userInfo(user), audiences };
}

/** Characters that no header may hold are in no token that is known here. */
function encodedToken(text: string): string {
  return /^[\x21-\x7e]+$/.test(text) ? text : "-";
}

function userInfo({ name, uid, groups, extra }: User) {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(extra === undefined ? {} : { extra }),
  };
}

function assertOneQuestion(api: ApiRequest, spec: AccessSpec): void {
  refuse(api, questionErrors(spec));
}

function assertSubject(api: ApiRequest, spec: AccessSpec): void {
  refuse(api, subjectErrors(spec));
}

function assertLocal(api: ApiRequest, spec: AccessSpec): void {
  const errors = subjectErrors(spec);
  if (spec.nonResourceAttributes !== undefined) {
    const why = "disallowed on this kind of request";
    errors.push(invalidField("spec.nonResourceAttributes", spec.nonResourceAttributes, why));
  }
  const namespace = spec.resourceAttributes?.namespace ?? "";
  if (spec.resourceAttributes !== undefined && namespace !== api.namespace) {
    const why = `must match metadata.namespace: ${api.namespace}`;
    errors.push(invalidField("spec.resourceAttributes.namespace", namespace, why));
  }
  refuse(api, errors);
}

function questionErrors({ resourceAttributes, nonResourceAttributes }: AccessSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    const why = "cannot be specified in combination with resourceAttributes";
    errors.push(invalidField("spec.nonResourceAttributes", nonResourceAttributes, why));
  }
  if (resourceAttributes === undefined && nonResourceAttributes === undefined) {
    const why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    errors.push(invalidField("spec.resourceAttributes", resourceAttributes ?? null, why));
  }
  return errors;
}

function subjectErrors(spec: AccessSpec): FieldError[] {
  const errors = questionErrors(spec);
  if ((spec.user ?? "") === "" && (spec.groups ?? []).length === 0) {
    errors.push(requiredField("spec.user", "at least one of user or group must be specified"));
  }
  return errors;
}

function refuse({ definition }: ApiRequest, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid(definition, "", errors);
}
