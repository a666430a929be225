import { forbidden, groupResourceText, StatusError } from "../apimachinery/index.ts";
import { assert, unreachable } from "../lib/index.ts";
import { KEYVALUE_RESOURCE, type WriteScope } from "../registry/index.ts";
import type { ApiRequest } from "./api-request.ts";
import { applyObject } from "./apply-handler.ts";
import { answerComponentStatuses } from "./component-statuses.ts";
import { deleteObject, deleteObjects } from "./delete-handler.ts";
import { APPLY_PATCH, patchObject } from "./patch-handler.ts";
import { mediaTypeOf } from "./media-type.ts";
import { flagOf } from "./query-options.ts";
import { getObject, listObjects } from "./read-handler.ts";
import { attributesOf, type ResourceTarget } from "./request-target.ts";
import { answerReview, isReview } from "./reviews.ts";
import { bindPod } from "./subresources/binding.ts";
import { evictPod } from "./subresources/eviction.ts";
import { podLog } from "./subresources/pod-log.ts";
import { proxyRequest } from "./subresources/proxy.ts";
import { portForward } from "./subresources/streams/port-forward.ts";
import { remoteCommand } from "./subresources/streams/remote-command.ts";
import { answerMetrics } from "./metrics-api/metrics-handler.ts";
import { METRICS_GROUP } from "./metrics-api/metrics-objects.ts";
import { answerKeyValues } from "./keyvalue/keyvalue-handler.ts";
import { isInStore, keyValueVerb } from "./keyvalue/keyvalue-target.ts";
import { getScale, patchScale, replaceScale } from "./subresources/scale.ts";
import { createToken } from "./tokens/token-request.ts";
import { type WatchLines, watchObjects } from "./watch-handler.ts";
import { createObject, replaceObject } from "./write-handler.ts";
import type { Attributes } from "./authorizer.ts";

const NOT_IMPLEMENTED = 501;
const METHOD_NOT_ALLOWED = 405;

/** The verb that authorization is asked about. Undefined for a method that means nothing here. */
export function verbOf(
  method: string,
  target: ResourceTarget,
  query: URLSearchParams,
): string | undefined {
  const collection = target.name === "";
  if (isInStore(target)) return keyValueVerb(method, target, query);
  if (target.watchPath && method !== "GET" && method !== "HEAD") return undefined;
  switch (method) {
    case "GET":
    case "HEAD":
      if (target.watchPath) return "watch";
      if (!collection) return "get";
      return flagOf(query, "watch") === true ? "watch" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return collection ? "deletecollection" : "delete";
    default:
      return undefined;
  }
}

/** Runs an authorized request. */
export function dispatch(
  api: ApiRequest,
  verb: string,
  lines: WatchLines,
): Promise<Response> | Response {
  if (isInStore(api.target)) return answerKeyValues(api, verb);
  if (api.target.subresource !== "") return dispatchSubresource(api, verb);
  assertServed(api, verb);
  if (api.definition.resource === KEYVALUE_RESOURCE.resource) return answerKeyValues(api, verb);
  if (isReview(api.definition)) return answerReview(api);
  if (api.definition.resource === "componentstatuses") return answerComponentStatuses(api);
  if (api.definition.group === METRICS_GROUP) return answerMetrics(api);
  if (api.definition.resource === "bindings") return bindPod(api);
  switch (verb) {
    case "get":
      return getObject(api);
    case "list":
      return listObjects(api);
    case "watch":
      return watchObjects(api, lines);
    case "create":
      return createObject(api);
    case "update":
      return replaceObject(api);
    case "patch":
      return changeObject(api, "object");
    case "delete":
      return deleteObject(api);
    case "deletecollection":
      return deleteObjects(api);
    default:
      throw methodNotAllowed();
  }
}

/** Refuses a verb that the kind, or this path to it, does not have. */
function assertServed({ definition, target, namespace }: ApiRequest, verb: string): void {
  if (!definition.verbs.includes(verb)) throw methodNotAllowed();
  if (verb === "create" && (target.name !== "" || definition.custom?.terminating === true)) {
    throw methodNotAllowed();
  }
  if ((verb === "update" || verb === "patch") && target.name === "") throw methodNotAllowed();
  // A namespaced kind is created and deleted in a namespace; across all it can be looked at.
  const across = definition.namespaced && namespace === "";
  if (across && verb !== "list" && verb !== "watch") throw methodNotAllowed();
}

/** PATCH, by what is sent: a change to what is there, or a configuration to apply. */
function changeObject(api: ApiRequest, scope: WriteScope): Promise<Response> {
  const type = mediaTypeOf(api.request.headers.get("content-type"));
  return type === APPLY_PATCH ? applyObject(api, scope) : patchObject(api, scope);
}

type Action =
  | "status"
  | "scale"
  | "finalize"
  | "ephemeralcontainers"
  | "log"
  | "exec"
  | "attach"
  | "portforward"
  | "proxy"
  | "binding"
  | "eviction"
  | "token"
  | "approval"
  | "unsupported";

function actionOf(name: string): Action {
  switch (name) {
    case "status":
    case "scale":
    case "finalize":
    case "ephemeralcontainers":
    case "log":
    case "exec":
    case "attach":
    case "portforward":
    case "proxy":
    case "binding":
    case "eviction":
    case "token":
    case "approval":
      return name;
    default:
      return "unsupported";
  }
}

function dispatchSubresource(api: ApiRequest, verb: string): Promise<Response> {
  const { definition, target } = api;
  const subresource = definition.subresources.find(({ name }) => name === target.subresource);
  if (subresource === undefined) throw notServed();
  const action = actionOf(subresource.name);
  const { upgrader, proxyTransport, serviceAccountTokens } = api.context;
  const cannot =
    (isPodStream(target) && upgrader === undefined) ||
    (action === "proxy" && proxyTransport === undefined) ||
    (action === "token" && serviceAccountTokens === undefined);
  if (action === "unsupported" || cannot)
    throw notImplemented(definition.resource, subresource.name);
  if (target.rest.length > 0 && action !== "proxy") throw notServed();
  if (!subresource.verbs.includes(verb)) throw methodNotAllowed();
  switch (action) {
    case "status":
    case "finalize":
    case "ephemeralcontainers":
      if (verb === "get") return getObject(api);
      return verb === "patch" ? changeObject(api, action) : replaceObject(api, action);
    case "approval":
      if (verb === "get") return getObject(api);
      // Of the status; admission says which part.
      return verb === "patch" ? changeObject(api, "status") : replaceObject(api, "status");
    case "scale":
      if (verb === "get") return getScale(api);
      return verb === "patch" ? patchScale(api) : replaceScale(api);
    case "log":
      return podLog(api);
    case "exec":
    case "attach":
    case "portforward":
      assert(upgrader !== undefined, "refused above without it");
      assertMayCreate(api, verb);
      return action === "portforward" ? portForward(api, upgrader) : remoteCommand(api, upgrader);
    case "proxy":
      assert(proxyTransport !== undefined, "refused above without it");
      return proxyRequest(api, proxyTransport);
    case "binding":
      return bindPod(api);
    case "eviction":
      return evictPod(api);
    case "token":
      assert(serviceAccountTokens !== undefined, "refused above without it");
      return createToken(api, serviceAccountTokens);
    default:
      return unreachable(action);
  }
}

function failure(code: number, reason: string, message: string): StatusError {
  return new StatusError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    details: {},
    code,
  });
}

export function notServed(): StatusError {
  return failure(404, "NotFound", "the server could not find the requested resource");
}

export function methodNotAllowed(): StatusError {
  const message = "the server does not allow this method on the requested resource";
  return failure(METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
}

/** Streams to a program or a port of a pod, for which the connection changes its protocol. */
export function isPodStream({ group, resource, subresource }: ResourceTarget): boolean {
  if (group !== "" || resource !== "pods") return false;
  return subresource === "exec" || subresource === "attach" || subresource === "portforward";
}

/**
 * WebSockets begin with GET, which is only the right to read: as since Kubernetes 1.35, the right
 * to create is asked for as well.
 */
function assertMayCreate({ context, user, target, query }: ApiRequest, verb: string): void {
  if (verb === "create") return;
  const attributes = attributesOf(target, "create", query);
  const { allowed, reason } = context.access.decide(user, attributes);
  if (!allowed) throw forbiddenError(user.name, attributes, reason);
}

function notImplemented(resource: string, subresource: string): StatusError {
  const message = `${resource}/${subresource} is not supported by this server yet`;
  return failure(NOT_IMPLEMENTED, "NotImplemented", message);
}

/** The refusal of a request that its user may not make, in Kubernetes' words. */
export function forbiddenError(user: string, attributes: Attributes, reason: string): StatusError {
  const who = `User ${JSON.stringify(user)} cannot ${attributes.verb}`;
  const because = reason === "" ? "" : `: ${reason}`;
  if (attributes.type === "path") {
    const why = `${who} path ${JSON.stringify(attributes.path)}${because}`;
    return forbidden({ group: "", resource: "" }, "", why);
  }
  const { group, resource, subresource, namespace, name } = attributes;
  const full = subresource === "" ? resource : `${resource}/${subresource}`;
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const why = `${who} resource "${full}" in API group "${group}" ${scope}${because}`;
  return forbidden({ group, resource }, name, why);
}

/** Kinds whose use Kubernetes warns about. */
export function deprecationOf(api: ApiRequest): string | undefined {
  const { custom } = api.definition;
  if (custom !== undefined) return custom.deprecation;
  switch (groupResourceText(api.definition)) {
    case "endpoints":
      return "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    case "componentstatuses":
      return "v1 ComponentStatus is deprecated in v1.19+";
    default:
      return undefined;
  }
}
