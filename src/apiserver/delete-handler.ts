import { schemaOf } from "../api/index.ts";
import {
  badRequest,
  DecodeError,
  decodeInto,
  type FieldError,
  groupResourceText,
  invalid,
  invalidField,
  isJsonObject,
  notSupportedField,
  type StatusDetails,
  successStatus,
} from "../apimachinery/index.ts";
import type { DeleteRequest, DeleteResult, PropagationPolicy } from "../registry/index.ts";
import { answerObject, wantsPretty } from "./answer.ts";
import { admitDelete, restrictsDeletions } from "./admission/admit-write.ts";
import type { ApiRequest } from "./api-request.ts";
import { dryRunOf, integerOf } from "./query-options.ts";
import { answerList, answerStored, listRequestOf } from "./read-handler.ts";
import { decodeBytes, readBody } from "./request-body.ts";
import { mediaTypeOf } from "./media-type.ts";

/** These answer a deletion with the object; others answer with a Status once it is gone. */
const ANSWERED_WITH_OBJECT: ReadonlySet<string> = new Set([
  "pods",
  "podtemplates",
  "services",
  "serviceaccounts",
  "persistentvolumes",
  "persistentvolumeclaims",
  "resourcequotas",
  "storageclasses.storage.k8s.io",
  "csidrivers.storage.k8s.io",
  "csinodes.storage.k8s.io",
  "volumeattachments.storage.k8s.io",
]);

const POLICIES: readonly PropagationPolicy[] = ["Orphan", "Background", "Foreground"];
const DELETE_OPTIONS = { group: "meta.k8s.io", kind: "DeleteOptions" };

/** metav1.DeleteOptions, as decoded. */
interface DeleteOptions {
  readonly dryRun?: readonly string[];
  readonly gracePeriodSeconds?: number;
  readonly orphanDependents?: boolean;
  readonly propagationPolicy?: string;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** DELETE of one object. */
export async function deleteObject(api: ApiRequest): Promise<Response> {
  const request = await admittedDeletion(api, await readDeleteRequest(api));
  const result = await api.resource.delete(api.namespace, api.target.name, request);
  return answerDeleted(api, result);
}

/** The request, bound to the object that the user was found to be allowed to delete. */
export async function admittedDeletion(
  api: ApiRequest,
  request: DeleteRequest,
): Promise<DeleteRequest> {
  if (!restrictsDeletions(api)) return request;
  const { object } = await api.resource.get(api.namespace, api.target.name);
  admitDelete(api, object);
  const { uid } = object.metadata;
  if (uid === undefined) return request;
  return { ...request, preconditions: { uid, ...request.preconditions } };
}

/** DELETE of a collection: everything that its selectors select. */
export async function deleteObjects(api: ApiRequest): Promise<Response> {
  const request = await readDeleteRequest(api);
  const list = await api.resource.deleteCollection(listRequestOf(api), request);
  return answerList(api, list);
}

/** Options come in the body, or else in the query. Throws 400 and 422 for what is not allowed. */
export async function readDeleteRequest(api: ApiRequest): Promise<DeleteRequest> {
  const bytes = await readBody(api.request);
  const options = bytes.length === 0 ? queryOptions(api.query) : await bodyOptions(api, bytes);
  return deleteRequestOf(options);
}

/** Checks decoded options. Throws 422 for values that are not allowed. */
export function deleteRequestOf(options: DeleteOptions): DeleteRequest {
  const errors: FieldError[] = [];
  const { propagationPolicy: policy, orphanDependents, preconditions } = options;
  if (policy !== undefined && !isPolicy(policy)) {
    errors.push(notSupportedField("propagationPolicy", policy, [...POLICIES].sort()));
  }
  if (policy !== undefined && orphanDependents !== undefined) {
    const why = "orphanDependents and deletionPropagation cannot be both set";
    errors.push(invalidField("propagationPolicy", policy, why));
  }
  const dryRun = dryRunOf(options.dryRun ?? [], errors);
  if (errors.length > 0) throw invalid(DELETE_OPTIONS, "", errors);
  const orphaning = orphanDependents === true ? "Orphan" : "Background";
  const chosen = orphanDependents === undefined ? policy : orphaning;
  return {
    dryRun,
    ...(options.gracePeriodSeconds === undefined
      ? {}
      : { gracePeriodSeconds: options.gracePeriodSeconds }),
    ...(chosen === undefined || !isPolicy(chosen) ? {} : { propagationPolicy: chosen }),
    ...(preconditions === undefined ? {} : { preconditions }),
  };
}

function answerDeleted(api: ApiRequest, { stored, removed }: DeleteResult): Promise<Response> {
  const { definition } = api;
  if (!removed || ANSWERED_WITH_OBJECT.has(groupResourceText(definition))) {
    return answerStored(api, stored);
  }
  const { name = "", uid = "" } = stored.object.metadata;
  const details: StatusDetails = { name };
  if (definition.group !== "") details.group = definition.group;
  details.kind = definition.resource;
  details.uid = uid;
  const pretty = wantsPretty(api.request, api.query);
  return answerObject(successStatus(details), api.media, { pretty, warnings: api.warnings });
}

function isPolicy(text: string): text is PropagationPolicy {
  return (POLICIES as readonly string[]).includes(text);
}

function queryOptions(query: URLSearchParams): DeleteOptions {
  if (query.size === 0) return {};
  const grace = integerOf(query, "gracePeriodSeconds");
  const policy = query.get("propagationPolicy");
  const orphan = query.get("orphanDependents");
  return {
    dryRun: query.getAll("dryRun"),
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: orphan === "true" }),
  };
}

async function bodyOptions(api: ApiRequest, bytes: Uint8Array): Promise<DeleteOptions> {
  const expected = { duplicates: "ignore", expected: "DeleteOptions" } as const;
  const type = mediaTypeOf(api.request.headers.get("content-type"));
  const { value } = await decodeBytes(bytes, type, expected);
  if (!isJsonObject(value)) throw badRequest("the body of a deletion is a DeleteOptions object");
  const { kind } = value;
  if (kind !== undefined && kind !== "" && kind !== "DeleteOptions") {
    throw badRequest(
      `the body of a deletion is a DeleteOptions object, not ${JSON.stringify(kind)}`,
    );
  }
  try {
    decodeInto(schemaOf("apis.meta.v1.DeleteOptions"), value);
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(error.message);
    throw error;
  }
  const inQuery = queryOptions(api.query);
  return { ...inQuery, ...(value as DeleteOptions), dryRun: dryRunFrom(value, inQuery) };
}

function dryRunFrom(body: Readonly<Record<string, unknown>>, query: DeleteOptions): string[] {
  const { dryRun } = body as DeleteOptions;
  return [...(dryRun ?? query.dryRun ?? [])];
}
