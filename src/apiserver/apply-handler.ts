import {
  apiVersionOf,
  applyConfiguration,
  ApplyConflictError,
  applyConflictError,
  type ApplyResult,
  badRequest,
  ConfigurationError,
  conflict,
  conflictsWithout,
  DecodeError,
  decodeInto,
  isJsonObject,
  jsonDecode,
  JsonError,
  type JsonObject,
  type KubeObject,
  type ManagedFieldsEntry,
  unchangedSince,
} from "../apimachinery/index.ts";
import type { UpdateOptions, WriteScope } from "../registry/index.ts";
import { admitCreate, admitUpdate } from "./admission/admit-write.ts";
import { tellWarnings } from "./admission/tell-warnings.ts";
import type { ApiRequest } from "./api-request.ts";
import { fieldWriterOf } from "./field-ownership.ts";
import { cannotHandle, complete } from "./object-intake.ts";
import { assertAddressed } from "./patch-handler.ts";
import { applyQueryOf, type WriteQuery } from "./query-options.ts";
import { answerStored } from "./read-handler.ts";
import { readBody } from "./request-body.ts";
import { attributesOf } from "./request-target.ts";
import { forbiddenError } from "./resource-dispatch.ts";
import { assertEphemeralContainersStay } from "./subresources/ephemeral-containers.ts";
import { parseYaml, YamlTextError } from "./yaml-text.ts";

const CREATED = 201;
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
/** Whose fields `kubectl apply` takes over when it goes from the client's side to the server's. */
const KUBECTL = "kubectl";

/** PATCH with a configuration to apply: of an object that may not be there yet, or a part of it. */
export async function applyObject(api: ApiRequest, scope: WriteScope): Promise<Response> {
  const query = applyQueryOf(api.query);
  const configuration = await readConfiguration(api, query);
  let managedFields: ManagedFieldsEntry[] | undefined;
  const apply = (live: KubeObject | undefined): KubeObject => {
    const applied = applyTo(api, live, inScope(configuration, scope, api), query);
    ({ managedFields } = applied);
    return completed(api, applied.object, configuration);
  };
  const createMissing = (): KubeObject => {
    assertMayCreate(api, configuration);
    const object = apply(undefined);
    admitCreate(api, object);
    if (managedFields !== undefined) object.metadata.managedFields = managedFields;
    return object;
  };
  const options: UpdateOptions = {
    dryRun: query.dryRun,
    warn: tellWarnings(api),
    retryConflicts: true,
    trackOwners: () => managedFields,
  };
  const { stored, created } = await api.resource.update(
    api.namespace,
    api.target.name,
    (current) => {
      const next = apply(current);
      if (scope === "ephemeralcontainers") assertEphemeralContainersStay(api, next, current);
      admitUpdate(api, next, current);
      return next;
    },
    scope === "object" ? { ...options, createMissing, creates: "any-kind" } : { ...options, scope },
  );
  return answerStored(api, stored, created ? { status: CREATED } : {});
}

/** Reads a configuration as YAML, of which JSON is a part. Throws 400 for what is none. */
export async function readConfiguration(
  { request, warnings }: ApiRequest,
  query: WriteQuery,
): Promise<JsonObject> {
  const text = new TextDecoder().decode(await readBody(request));
  const { value, duplicates } = await parsed(text);
  if (!isJsonObject(value)) {
    throw badRequest("error decoding YAML: the configuration to apply is not an object");
  }
  if (duplicates.length > 0) {
    const why = duplicates.join(", ");
    if (query.fieldValidation === "Strict") {
      throw badRequest(`error strict decoding YAML: ${why}`);
    }
    if (query.fieldValidation === "Warn") warnings.push(...duplicates);
  }
  return value;
}

async function parsed(
  text: string,
): Promise<{ readonly value: unknown; readonly duplicates: readonly string[] }> {
  try {
    if (/^\s*\{/.test(text)) return jsonDecode(text, { duplicates: "report" });
  } catch (error) {
    // Flow mappings of YAML start like JSON.
    if (!(error instanceof JsonError)) throw error;
  }
  try {
    return await parseYaml(text);
  } catch (error) {
    if (error instanceof YamlTextError) throw badRequest(`error decoding YAML: ${error.message}`);
    throw error;
  }
}

/** Applies a configuration of the kind. Throws 400 and 409. */
export function applyTo(
  api: ApiRequest,
  live: KubeObject | undefined,
  configuration: JsonObject,
  query: { readonly force: boolean },
): ApplyResult {
  const { definition, namespace, target } = api;
  assertKind(api, configuration);
  const metadata = isJsonObject(configuration["metadata"]) ? configuration["metadata"] : {};
  if ((metadata["managedFields"] ?? undefined) !== undefined) {
    throw badRequest("metadata.managedFields must be nil");
  }
  const request = {
    schema: definition.schema,
    live,
    configuration: { ...configuration, metadata } as KubeObject,
    writer: fieldWriterOf(api),
    force: query.force,
  };
  try {
    return applyOrTakeOver(request);
  } catch (error) {
    if (error instanceof ApplyConflictError) throw applyConflictError(error.conflicts);
    if (!(error instanceof ConfigurationError)) throw error;
    const { group, version, kind } = definition;
    const what = `${namespace}/${target.name}; ${group}/${version}, Kind=${kind}`;
    throw badRequest(`failed to create typed patch object (${what}): ${error.message}`);
  }
}

/**
 * Who applied from the client's side before owns those fields under another name: kubectl may take
 * what its annotation says and nobody has changed since.
 */
function applyOrTakeOver(request: Parameters<typeof applyConfiguration>[0]): ApplyResult {
  const { live, writer, schema, configuration } = request;
  const lastApplied = writer.manager === KUBECTL ? lastAppliedOf(live) : undefined;
  if (lastApplied === undefined || live === undefined) return applyConfiguration(request);
  const result = takeOver(request, unchangedSince(schema, lastApplied, live));
  const { metadata } = result.object;
  metadata.annotations = {
    ...metadata.annotations,
    [LAST_APPLIED]: `${JSON.stringify(configuration)}\n`,
  };
  return result;
}

function takeOver(
  request: Parameters<typeof applyConfiguration>[0],
  takeable: ReturnType<typeof unchangedSince>,
): ApplyResult {
  try {
    return applyConfiguration(request);
  } catch (error) {
    if (!(error instanceof ApplyConflictError)) throw error;
    const left = conflictsWithout(error.conflicts, takeable);
    if (left.length > 0) throw new ApplyConflictError(left);
    return applyConfiguration({ ...request, force: true });
  }
}

function lastAppliedOf(live: KubeObject | undefined): JsonObject | undefined {
  const text = live?.metadata.annotations?.[LAST_APPLIED];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    // Anybody can write an annotation: one that says nothing allows nothing.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function assertKind({ definition }: ApiRequest, { kind, apiVersion }: JsonObject): void {
  const expected = apiVersionOf(definition);
  if (typeof kind !== "string" || kind === "") {
    throw badRequest("error decoding YAML: Object 'Kind' is missing in the configuration to apply");
  }
  if (apiVersion !== expected) {
    const given = typeof apiVersion === "string" ? apiVersion : "";
    throw badRequest(
      "Incorrect version specified in apply patch. " +
        `Specified patch version: ${given}, expected: ${expected}`,
    );
  }
  if (kind !== definition.kind) {
    throw badRequest(
      `Incorrect kind specified in apply patch. ` +
        `Specified patch kind: ${kind}, expected: ${definition.kind}`,
    );
  }
}

/** What of a configuration its endpoint may touch. */
function inScope(
  configuration: JsonObject,
  scope: WriteScope,
  { definition }: ApiRequest,
): JsonObject {
  if (scope === "object") {
    if (!definition.subresources.some(({ name }) => name === "status")) return configuration;
    const { status: _status, ...others } = configuration;
    return others;
  }
  const part = scope === "status" ? "status" : "spec";
  const { apiVersion, kind, metadata = {}, [part]: value } = configuration;
  const typed = { apiVersion, kind, metadata };
  return value === undefined ? typed : { ...typed, [part]: value };
}

function completed(api: ApiRequest, object: KubeObject, configuration: JsonObject): KubeObject {
  const { definition, target } = api;
  try {
    decodeInto(definition.schema, object);
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(cannotHandle(definition, error.message));
    throw error;
  }
  complete(definition, object);
  const { resourceVersion } = (configuration["metadata"] ?? {}) as JsonObject;
  if (typeof resourceVersion === "string") object.metadata.resourceVersion = resourceVersion;
  assertAddressed(object, target);
  return object;
}

/** An apply that creates needs the right to create as well. */
function assertMayCreate(api: ApiRequest, configuration: JsonObject): void {
  const attributes = attributesOf(api.target, "create", api.query);
  const { allowed, reason } = api.context.access.decide(api.user, attributes);
  if (!allowed) throw forbiddenError(api.user.name, attributes, reason);
  const metadata = configuration["metadata"];
  const uid = isJsonObject(metadata) ? metadata["uid"] : undefined;
  if (typeof uid === "string" && uid !== "") {
    const why =
      `uid mismatch: the provided object specified uid ${uid}, ` +
      "and no existing object was found";
    throw conflict(api.definition, api.target.name, why);
  }
}
