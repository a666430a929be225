import { type ResourceDefinition, warningsOf } from "../api/index.ts";
import {
  apiVersionOf,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  badRequest,
  DecodeError,
  decodeInto,
  invalid,
  invalidField,
  isJsonObject,
  jsonDecode,
  JsonError,
  type KubeObject,
  type Schema,
  type StatusError,
  unsupportedMediaType,
} from "../apimachinery/index.ts";
import type { WriteScope } from "../registry/index.ts";
import { admitUpdate } from "./admission/admit-write.ts";
import { tellWarnings } from "./admission/tell-warnings.ts";
import type { ApiRequest } from "./api-request.ts";
import { mediaTypeOf } from "./media-type.ts";
import { ownersOfUpdate } from "./field-ownership.ts";
import { complete, foreignKind } from "./object-intake.ts";
import { type WriteQuery, writeQueryOf } from "./query-options.ts";
import { answerStored } from "./read-handler.ts";
import { readBody } from "./request-body.ts";
import { assertEphemeralContainersStay } from "./subresources/ephemeral-containers.ts";
import { warnOfChange } from "./write-handler.ts";

/** Changes a document; the document stays as it is. */
export type PatchFunction = (schema: Schema, document: unknown) => unknown;

export interface ReadPatch {
  readonly apply: PatchFunction;
  /** The patch as it was sent, for messages. */
  readonly text: string;
  /** Whether another kind or apiVersion matters: strategic merge patches pass over both. */
  readonly ofKind: "checked" | "ignored";
}

const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
export const APPLY_PATCH = "application/apply-patch+yaml";
const PATCH_TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH];

/** PATCH of an object, or of the part of it that the scope names. */
export async function patchObject(
  api: ApiRequest,
  scope: WriteScope = "object",
): Promise<Response> {
  const query = writeQueryOf(api.query, "PatchOptions");
  const patch = await readPatch(api.request, api.definition);
  const trackOwners = ownersOfUpdate(api);
  const options = {
    dryRun: query.dryRun,
    retryConflicts: true,
    trackOwners,
    warn: tellWarnings(api),
  };
  let generation: number | undefined;
  let hardlyMeant: string[] = [];
  const { stored } = await api.resource.update(
    api.namespace,
    api.target.name,
    (current) => {
      ({ generation } = current.metadata);
      const next = patched(api, current, patch, query);
      if (scope === "object") hardlyMeant = warningsOf(next);
      if (scope === "ephemeralcontainers") assertEphemeralContainersStay(api, next, current);
      admitUpdate(api, next, current);
      return next;
    },
    scope === "object" ? options : { ...options, scope },
  );
  warnOfChange(api, hardlyMeant, generation, stored);
  return answerStored(api, stored);
}

/** Reads the patch by its Content-Type. Throws 415 for types that are no patch. */
export async function readPatch(
  request: Request,
  definition: Pick<ResourceDefinition, "custom"> = {},
): Promise<ReadPatch> {
  const type = mediaTypeOf(request.headers.get("content-type"));
  const accepted =
    definition.custom === undefined
      ? PATCH_TYPES
      : PATCH_TYPES.filter((one) => one !== STRATEGIC_PATCH);
  if (!accepted.includes(type)) {
    throw unsupportedMediaType(
      "the body of the request was in an unknown format - accepted media types include: " +
        accepted.join(", "),
    );
  }
  const bytes = await readBody(request);
  const text = new TextDecoder().decode(bytes);
  const patch = parsePatch(text);
  switch (type) {
    case JSON_PATCH:
      return {
        text,
        ofKind: "checked",
        apply: (_schema, document) => applyJsonPatch(document, patch),
      };
    case MERGE_PATCH:
      return {
        text,
        ofKind: "checked",
        apply: (_schema, document) => applyMergePatch(document, patch),
      };
    default:
      return {
        text,
        ofKind: "ignored",
        apply: (schema, document) => applyStrategicMergePatch(schema, document, patch),
      };
  }
}

function parsePatch(text: string): unknown {
  try {
    return jsonDecode(text).value;
  } catch (error) {
    if (error instanceof JsonError) throw badRequest(`error decoding patch: ${error.message}`);
    throw error;
  }
}

function patched(
  { definition, target, warnings }: ApiRequest,
  current: KubeObject,
  patch: ReadPatch,
  query: WriteQuery,
): KubeObject {
  const next = patch.apply(definition.schema, current);
  if (!isJsonObject(next)) throw refusePatch(patch, "the patched object is no JSON object");
  const object = next as unknown as KubeObject;
  assertSameKind(definition, object, patch);
  let complaints: string[];
  try {
    complaints = decodeInto(definition.schema, object);
  } catch (error) {
    if (error instanceof DecodeError) throw refusePatch(patch, error.message);
    throw error;
  }
  if (complaints.length > 0) {
    if (query.fieldValidation === "Strict") {
      throw refusePatch(patch, `strict decoding error: ${complaints.join(", ")}`);
    }
    // A patch that is applied again must not complain again.
    const fresh = complaints.filter((complaint) => !warnings.includes(complaint));
    if (query.fieldValidation === "Warn") warnings.push(...fresh);
  }
  complete(definition, object);
  assertAddressed(object, target);
  return object;
}

/** A patch cannot make an object one of another kind, or of another version. */
function assertSameKind(
  definition: ApiRequest["definition"],
  object: KubeObject,
  patch: ReadPatch,
): void {
  if (patch.ofKind === "ignored") return;
  const kind: unknown = object.kind || definition.kind;
  const apiVersion: unknown = object.apiVersion || apiVersionOf(definition);
  if (typeof kind !== "string" || typeof apiVersion !== "string") {
    throw refusePatch(patch, "kind and apiVersion must be strings");
  }
  const why = foreignKind(definition, { ...object, kind, apiVersion });
  if (why !== undefined) throw refusePatch(patch, why);
}

/** A patch cannot move an object to another name or namespace. */
export function assertAddressed({ metadata }: KubeObject, target: ApiRequest["target"]): void {
  const { name = "", namespace = "" } = metadata;
  if (name !== target.name) {
    throw badRequest(
      `the name of the object (${name}) does not match the name on the URL (${target.name})`,
    );
  }
  if (target.namespace !== "" && namespace !== "" && namespace !== target.namespace) {
    throw badRequest(
      `the namespace of the object (${namespace}) ` +
        `does not match the namespace on the request (${target.namespace})`,
    );
  }
}

function refusePatch(patch: ReadPatch, why: string): StatusError {
  return invalid({ group: "", kind: "" }, "", [invalidField("patch", patch.text, why)]);
}
