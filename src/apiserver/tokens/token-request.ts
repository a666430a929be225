import {
  type authenticationV1,
  type Node,
  NODES,
  type Pod,
  PODS,
  SECRETS,
  type ServiceAccount,
} from "../../api/index.ts";
import {
  badRequest,
  conflict,
  type FieldError,
  forbidden,
  invalid,
  invalidField,
  isStatusError,
  type KubeObject,
  rfc3339,
} from "../../apimachinery/index.ts";
import { randomUuid } from "../../lib/index.ts";
import { answerObject } from "../answer.ts";
import type { ApiRequest } from "../api-request.ts";
import { writeQueryOf } from "../query-options.ts";
import { resourceOf } from "../resource-of.ts";
import { readTyped, type SentKind } from "../typed-body.ts";
import { nodeNameOf } from "../user.ts";
import { boundClaims, ISSUER, type TokenSubject } from "./service-account-claims.ts";
import type { ServiceAccountTokens } from "./service-account-tokens.ts";

type TokenRequest = authenticationV1.TokenRequest & KubeObject;
type Reference = authenticationV1.BoundObjectReference;

const TOKEN_REQUEST: SentKind = {
  kind: "TokenRequest",
  apiVersion: "authentication.k8s.io/v1",
  typeName: "authentication.v1.TokenRequest",
};
const CREATED = 201;
const DEFAULT_SECONDS = 3600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
/**
 * What admission asks for in each pod. Programs that read their token once would stop working after
 * an hour: such a token lasts a year, and is renewed and complained about as one of an hour.
 */
export const POD_TOKEN_SECONDS = 3607;
const EXTENDED_SECONDS = 365 * 24 * 60 * 60;

/** POST …/serviceaccounts/NAME/token: a signed token for the account. */
export async function createToken(
  api: ApiRequest,
  tokens: ServiceAccountTokens,
): Promise<Response> {
  const { target, namespace, context } = api;
  const { dryRun } = writeQueryOf(api.query, "CreateOptions");
  const request = await readTyped<TokenRequest>(api.request, TOKEN_REQUEST);
  assertNames(api, request);
  const spec = { ...request.spec };
  const audiences = (spec.audiences ?? []).length === 0 ? [ISSUER] : (spec.audiences ?? []);
  const seconds = spec.expirationSeconds ?? DEFAULT_SECONDS;
  refuseLifetime(seconds);
  const stored = await api.resource.get(namespace, target.name);
  const account = stored.object as ServiceAccount;
  if (account.metadata.deletionTimestamp !== undefined && !dryRun) {
    const why = `service account ${namespace}/${target.name} is being deleted`;
    throw forbidden(api.definition, target.name, why);
  }
  const { pod, ...bound } = await boundTo(api, spec.boundObjectRef);
  restrictNodeToken(api, { ...spec, audiences }, pod);
  const extended = pod !== undefined && seconds === POD_TOKEN_SECONDS && isForApi(audiences);
  const nowSeconds = Math.floor(context.clock.now() / 1000);
  const claims = boundClaims(
    { namespace, account: { name: target.name, uid: account.metadata.uid ?? "" }, ...bound.to },
    {
      audiences,
      nowSeconds,
      lifetimeSeconds: extended ? EXTENDED_SECONDS : seconds,
      id: randomUuid(context.random),
      ...(extended ? { warnAfterSeconds: POD_TOKEN_SECONDS } : {}),
    },
  );
  const token = dryRun ? "" : await tokens.keys.sign(claims);
  const answer = {
    kind: TOKEN_REQUEST.kind,
    apiVersion: TOKEN_REQUEST.apiVersion,
    metadata: { name: target.name, namespace, creationTimestamp: rfc3339(nowSeconds * 1000) },
    spec: { audiences, expirationSeconds: seconds, boundObjectRef: spec.boundObjectRef ?? null },
    status: { token, expirationTimestamp: rfc3339((nowSeconds + seconds) * 1000) },
  };
  return answerObject(answer, api.media, { status: CREATED, warnings: api.warnings });
}

function isForApi(audiences: readonly string[]): boolean {
  return audiences.length === 1 && audiences[0] === ISSUER;
}

function assertNames({ target, namespace }: ApiRequest, { metadata }: TokenRequest): void {
  if ((metadata.name ?? target.name) !== target.name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match ` +
        `the name on the URL (${target.name})`,
    );
  }
  if ((metadata.namespace ?? namespace) !== namespace) {
    throw badRequest(
      "the namespace of the provided object does not match the namespace sent on the request",
    );
  }
}

function refuseLifetime(seconds: number): void {
  const field = "spec.expirationSeconds";
  const errors: FieldError[] = [];
  if (seconds < MIN_SECONDS) {
    errors.push(invalidField(field, seconds, "may not specify a duration less than 10 minutes"));
  } else if (seconds > MAX_SECONDS) {
    const why = "may not specify a duration larger than 2^32 seconds";
    errors.push(invalidField(field, seconds, why));
  }
  if (errors.length > 0) {
    throw invalid({ group: "authentication.k8s.io", kind: TOKEN_REQUEST.kind }, "", errors);
  }
}

interface Bound {
  readonly to: Pick<TokenSubject, "pod" | "secret" | "node">;
  readonly pod?: Readonly<Pod>;
}

/** The object that the token ends with, as it is now. Throws 404, 400 and 409. */
async function boundTo(api: ApiRequest, reference: Reference | undefined): Promise<Bound> {
  if (reference === undefined) return { to: {} };
  const { kind = "", apiVersion = "", name = "" } = reference;
  if (apiVersion !== "v1" || !["Pod", "Secret", "Node"].includes(kind)) {
    throw badRequest(`cannot bind token to object of type ${apiVersion}, Kind=${kind}`);
  }
  const { registry } = api.context;
  switch (kind) {
    case "Pod": {
      const { object } = await resourceOf(registry, PODS).get(api.namespace, name);
      const pod = object as Pod;
      if (pod.spec?.serviceAccountName !== api.target.name) {
        throw badRequest(
          `cannot bind token for serviceaccount ${JSON.stringify(api.target.name)} ` +
            "to pod running with different serviceaccount name.",
        );
      }
      const node = await nodeOf(api, pod.spec.nodeName ?? "");
      return { to: { pod: identified(reference, object), ...(node && { node }) }, pod };
    }
    case "Secret": {
      const { object } = await resourceOf(registry, SECRETS).get(api.namespace, name);
      return { to: { secret: identified(reference, object) } };
    }
    default: {
      const { object } = await resourceOf(registry, NODES).get("", name);
      return { to: { node: identified(reference, object) } };
    }
  }
}

/** A node that is gone is named without a uid. */
async function nodeOf({ context }: ApiRequest, name: string): Promise<TokenSubject["node"]> {
  if (name === "") return undefined;
  try {
    const stored = await resourceOf(context.registry, NODES).get("", name, {
      resourceVersion: "0",
    });
    const node: Readonly<Node> = stored.object;
    return { name, uid: node.metadata.uid ?? "" };
  } catch (error) {
    if (isStatusError(error, "NotFound")) return { name, uid: "" };
    throw error;
  }
}

function identified(
  { kind = "", name = "", uid = "" }: Reference,
  { metadata }: Readonly<KubeObject>,
): { readonly name: string; readonly uid: string } {
  const present = metadata.uid ?? "";
  if (uid === "" || uid === present) return { name, uid: present };
  throw conflict({ group: "", resource: kind }, name, otherUid(uid));
}

function otherUid(uid: string): string {
  return (
    `the UID in the bound object reference (${uid}) does not match the UID in record. ` +
    "The object might have been deleted and then recreated"
  );
}

/** A node gets tokens for pods that run on it, of the audiences that the pods name. */
function restrictNodeToken(
  api: ApiRequest,
  spec: authenticationV1.TokenRequestSpec,
  pod: Readonly<Pod> | undefined,
): void {
  const node = nodeNameOf(api.user);
  if (node === undefined) return;
  const refuse = (why: string): Error => forbidden(api.definition, api.target.name, why);
  if (pod === undefined) throw refuse("node requested token not bound to a pod");
  if ((spec.boundObjectRef?.uid ?? "") === "") {
    throw refuse("node requested token with a pod binding without a uid");
  }
  if (pod.spec?.nodeName !== node) {
    throw refuse("node requested token bound to a pod scheduled on a different node");
  }
  const named = projectedAudiences(pod);
  const other = (spec.audiences ?? []).find((audience) => !named.has(audience));
  if (other !== undefined) {
    throw refuse(`audience ${JSON.stringify(other)} not found in pod spec volume`);
  }
}

function projectedAudiences({ spec }: Readonly<Pod>): ReadonlySet<string> {
  const sources = (spec?.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
  return new Set(
    sources.flatMap(({ serviceAccountToken: token }) =>
      token === undefined ? [] : [(token.audience ?? "") === "" ? ISSUER : (token.audience ?? "")],
    ),
  );
}
